"""Sends numbered log records by clients that others have written.

    clients.py elasticsearch|splunk|loki URL KEY N

Each record is sent until it is taken. Exit code 0: all were.
"""

import json
import logging
import sys
import time
from datetime import datetime, timezone


def record(name, i):
    return {
        "time": datetime.now(timezone.utc).isoformat(), "method": "GET", "path": "/ship/%s/%d" % (name, i),
        "status": 200, "user": "u%d" % (i % 7), "request_id": "%s-%d" % (name, i),
    }


def insist(send):
    """Calls send until it does not fail, for two minutes."""
    end = time.monotonic() + 120
    while True:
        try:
            return send()
        except Exception as err:  # whatever a client makes of a server that was killed
            if time.monotonic() > end:
                raise
            print("again after", type(err).__name__, file=sys.stderr)
            time.sleep(0.2)


def elasticsearch(url, key, n):
    from elasticsearch import Elasticsearch, helpers

    client = Elasticsearch(url, api_key=key)
    for start in range(0, n, 500):
        actions = [
            {"_op_type": "create", "_index": "ship", "_source": record("elasticsearch", i)} for i in range(start, min(n, start + 500))
        ]
        insist(lambda: helpers.bulk(client, actions))


def splunk(url, key, n):
    from splunk_handler import SplunkHandler

    host, port = url.split("//")[1].split(":")
    handler = SplunkHandler(
        host=host, port=port, token=key, index="main", protocol="http", source="ship-splunk", sourcetype="_json",
        flush_interval=0.2, queue_size=0, retry_count=200, retry_backoff=0.05, force_keep_ahead=True,
    )
    log = logging.getLogger("ship")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    for i in range(n):
        log.info(json.dumps(record("splunk", i)))
    handler.force_flush()
    logging.shutdown()


def loki(url, key, n):
    from logging_loki import LokiHandler

    handler = LokiHandler(url=url + "/loki/api/v1/push", tags={"job": "ship-loki"}, auth=("shipper", key), version="1")
    for i in range(n):
        line = json.dumps(record("loki", i))
        entry = logging.LogRecord("ship", logging.INFO, __file__, 0, line, None, None)
        insist(lambda: handler.emitter(entry, line))


if __name__ == "__main__":
    kind, url, key, n = sys.argv[1:]
    {"elasticsearch": elasticsearch, "splunk": splunk, "loki": loki}[kind](url, key, int(n))
