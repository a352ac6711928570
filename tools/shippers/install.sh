#!/usr/bin/env bash
# Puts shippers of others into a directory, for the test that runs them: what the
# package registries have. What cannot be had is said, and left out of the test.
#
#   tools/shippers/install.sh DIR
set -uo pipefail
dir=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
missing() { echo "shippers: no $1: not tried"; }

apt-get update -q >/dev/null 2>&1
for program in rsyslogd:rsyslog nginx:nginx-light; do
	PATH=$PATH:/usr/sbin command -v "${program%%:*}" >/dev/null ||
		DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${program#*:}" >/dev/null 2>&1 ||
		missing "${program%%:*}"
done
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends rsyslog-openssl >/dev/null 2>&1 || missing 'TLS of rsyslog'

# syslog-ng and rsyslog exclude each other where they are installed; not where the
# files merely lie.
if [ ! -x "$dir/syslog-ng/usr/sbin/syslog-ng" ]; then
	(
		rm -rf "$dir/debs" && mkdir -p "$dir/debs" "$dir/syslog-ng" && cd "$dir/debs" &&
			apt-get download -q syslog-ng-core $(apt-cache depends syslog-ng-core | sed -n 's/^ *Depends: \(lib[a-z].*\)/\1/p' | grep -v '^libc6$') >/dev/null 2>&1 &&
			for deb in *.deb; do dpkg-deb -x "$deb" "$dir/syslog-ng" || exit 1; done
	) || missing syslog-ng
fi

if [ ! -x "$dir/venv/bin/python" ]; then
	python3 -m venv "$dir/venv" &&
		"$dir/venv/bin/pip" -q --disable-pip-version-check install 'elasticsearch==9.*' 'splunk-handler==3.*' 'python-logging-loki==0.3.*' ||
		{ rm -rf "$dir/venv"; missing "Python's clients of Elasticsearch, Splunk and Loki"; }
fi
if [ ! -d "$dir/node/node_modules/splunk-logging" ]; then
	mkdir -p "$dir/node" && npm install --prefix "$dir/node" --silent --no-audit --no-fund '@elastic/elasticsearch@9' 'splunk-logging@0.11' >/dev/null 2>&1 ||
		missing "Node's clients of Elasticsearch and Splunk"
fi
if [ ! -d "$dir/java" ]; then
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/java" >/dev/null 2>&1 ||
		{ rm -rf "$dir/java"; missing "Logback's appender for Loki"; }
fi
cp "$here/clients.py" "$here/Loki4j.java" "$dir/" && mkdir -p "$dir/node" && cp "$here/clients.js" "$dir/node/"
(cd "$here" && CGO_ENABLED=0 GOFLAGS=-trimpath go build -o "$dir/shippers" .) || missing 'OpenTelemetry SDK and S3 server'
# The longest comes last: whoever has no time for it has all the others.
(cd "$here/collector" && CGO_ENABLED=0 GOFLAGS=-trimpath go build -o "$dir/collector" .) || missing 'OpenTelemetry Collector'
