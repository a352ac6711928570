package sigma

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// field is where the values of a rule's field may stand in an event; all places
// count.
type field []origin

// origin is a column, or an attribute by its key in lower case.
type origin struct {
	col  tokenwatch.Col
	attr string
	as   func(string) string // what the product calls the value; nil: the same
}

func (o origin) of(value string) string {
	if o.as == nil {
		return value
	}
	return o.as(value)
}

// fieldMap is what the fields of a log source's rules are called here.
type fieldMap struct {
	named map[string]field // by their names in lower case
	// under is what attributes that keep their own name may stand under.
	under []string
}

// field returns where a rule's field stands. One that is not in the map is looked
// for under its own name: as a column (by our name, ECS or OCSF), and as an
// attribute.
func (m fieldMap) field(name string) field {
	lower := plain(name)
	if f, ok := m.named[lower]; ok {
		return f
	}
	var f field
	if c, ok := tokenwatch.ColumnByName(name); ok && c.Kind() != tokenwatch.KindMap {
		f = append(f, origin{col: c})
	}
	f = append(f, origin{attr: lower})
	for _, prefix := range m.under {
		f = append(f, origin{attr: prefix + lower})
	}
	return f
}

func col(c tokenwatch.Col) origin { return origin{col: c} }

func attr(key string) origin { return origin{attr: strings.ToLower(key)} }

func (o origin) with(as func(string) string) origin {
	o.as = as
	return o
}

// afterColon is the operation of s3:GetObject.
func afterColon(s string) string {
	_, after, ok := strings.Cut(s, ":")
	if !ok {
		return s
	}
	return after
}

// httpFields are the fields of all HTTP logs, in the taxonomy of webserver and proxy.
var httpFields = fieldMap{named: map[string]field{
	"cs-method":       {col(tokenwatch.ColMethod)},
	"cs-uri":          {col(tokenwatch.ColPath)},
	"c-uri":           {col(tokenwatch.ColPath)},
	"cs-uri-query":    {col(tokenwatch.ColPath).with(queryOf)},
	"c-uri-query":     {col(tokenwatch.ColPath).with(queryOf)},
	"cs-uri-stem":     {col(tokenwatch.ColPath).with(stemOf)},
	"c-uri-stem":      {col(tokenwatch.ColPath).with(stemOf)},
	"c-uri-path":      {col(tokenwatch.ColPath).with(stemOf)},
	"c-uri-extension": {col(tokenwatch.ColPath).with(extensionOf)},
	"cs-host":         {col(tokenwatch.ColHost)},
	"cs-username":     {col(tokenwatch.ColActor)},
	"c-ip":            {col(tokenwatch.ColSrcIP)},
	"src_ip":          {col(tokenwatch.ColSrcIP)},
	"cs-user-agent":   {col(tokenwatch.ColUserAgent)},
	"c-useragent":     {col(tokenwatch.ColUserAgent)},
	"cs(user-agent)":  {col(tokenwatch.ColUserAgent)},
	"cs-referer":      {attr("referer"), attr("http.request.referrer"), attr("referrer")},
	"cs(referer)":     {attr("referer"), attr("http.request.referrer"), attr("referrer")},
	"cs-referrer":     {attr("referer"), attr("http.request.referrer"), attr("referrer")},
	"cs-cookie":       {attr("cookie"), attr("http.request.cookies")},
	"sc-status":       {col(tokenwatch.ColStatus)},
	"sc-bytes":        {col(tokenwatch.ColBytesOut)},
	"cs-bytes":        {col(tokenwatch.ColBytesIn)},
	"cs-version":      {attr("http.version"), attr("http_version")},
	"r-dns":           {col(tokenwatch.ColHost)},
	"cs-uri-hostname": {col(tokenwatch.ColHost)},
	"dst_ip":          {attr("destination.ip"), attr("dst_ip")},
	"dst_port":        {attr("destination.port"), attr("dst_port")},
}}

func queryOf(path string) string {
	_, query, _ := strings.Cut(path, "?")
	return query
}

func stemOf(path string) string {
	stem, _, _ := strings.Cut(path, "?")
	return stem
}

func extensionOf(path string) string {
	stem := stemOf(path)
	file := stem[strings.LastIndexByte(stem, '/')+1:]
	_, ext, _ := strings.Cut(file[max(strings.LastIndexByte(file, '.'), 0):], ".")
	return ext
}
