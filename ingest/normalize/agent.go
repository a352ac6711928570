package normalize

import "bytes"

// maxAgentLength bounds an agent family that no table knows.
const maxAgentLength = 40

// agentWords are looked for in a user agent, in this order: the first that is
// there decides. Bots and libraries name themselves; browsers all say Mozilla
// and several say each other's names, so the more particular comes first.
var agentWords = []struct{ word, family string }{
	{"googlebot", "Googlebot"},
	{"google favicon", "Google Favicon"},
	{"mediapartners-google", "Mediapartners-Google"},
	{"adsbot-google", "AdsBot-Google"},
	{"feedfetcher-google", "FeedFetcher-Google"},
	{"bingbot", "bingbot"},
	{"bingpreview", "BingPreview"},
	{"yandexbot", "YandexBot"},
	{"yandeximages", "YandexImages"},
	{"baiduspider", "Baiduspider"},
	{"duckduckbot", "DuckDuckBot"},
	{"slurp", "Yahoo Slurp"},
	{"ahrefsbot", "AhrefsBot"},
	{"semrushbot", "SemrushBot"},
	{"mj12bot", "MJ12bot"},
	{"dotbot", "DotBot"},
	{"petalbot", "PetalBot"},
	{"applebot", "Applebot"},
	{"facebookexternalhit", "facebookexternalhit"},
	{"twitterbot", "Twitterbot"},
	{"linkedinbot", "LinkedInBot"},
	{"telegrambot", "TelegramBot"},
	{"slackbot", "Slackbot"},
	{"gptbot", "GPTBot"},
	{"claudebot", "ClaudeBot"},
	{"amazonbot", "Amazonbot"},
	{"bytespider", "Bytespider"},
	{"uptimerobot", "UptimeRobot"},
	{"pingdom", "Pingdom"},
	{"sqlmap", "sqlmap"},
	{"nikto", "Nikto"},
	{"nmap scripting engine", "Nmap"},
	{"w3af", "w3af"},
	{"acunetix", "Acunetix"},
	{"nuclei", "Nuclei"},
	{"zgrab", "zgrab"},
	{"masscan", "masscan"},
	{"aws internal", "AWS Internal"},
	{"terraform", "Terraform"},
	{"aws-cli", "aws-cli"},
	{"boto3", "Boto3"},
	{"botocore", "Botocore"},
	{"aws-sdk-go-v2", "aws-sdk-go-v2"},
	{"aws-sdk-go", "aws-sdk-go"},
	{"python-requests", "python-requests"},
	{"headlesschrome", "HeadlessChrome"},
	{"samsungbrowser/", "Samsung Internet"},
	{"edg/", "Edge"},
	{"edge/", "Edge"},
	{"edga/", "Edge"},
	{"edgios/", "Edge"},
	{"opr/", "Opera"},
	{"opera", "Opera"},
	{"ucbrowser/", "UC Browser"},
	{"yabrowser/", "Yandex Browser"},
	{"vivaldi/", "Vivaldi"},
	{"crios/", "Chrome"},
	{"chromium/", "Chrome"},
	{"chrome/", "Chrome"},
	{"fxios/", "Firefox"},
	{"firefox/", "Firefox"},
	{"msie ", "Internet Explorer"},
	{"trident/", "Internet Explorer"},
	{"safari/", "Safari"},
	{"applewebkit/", "WebKit"},
}

// AgentFamily returns the product a user agent names, without versions: that of
// the table if a word of it is there, else the first product token.
func AgentFamily(ua []byte) string {
	var buf [256]byte
	lower := appendLower(buf[:0], ua[:min(len(ua), len(buf))])
	first := firstProduct(ua)
	// A product of its own comes before the libraries it mentions; only what
	// calls itself Mozilla or is bracketed (AWS) must be looked into.
	for _, w := range agentWords {
		if contains(lower, w.word) && (opaqueFirst(first) || bytes.HasPrefix(lower, []byte(w.word)) || isBot(w.family)) {
			return w.family
		}
	}
	return first
}

// opaqueFirst tells whether a first product token says nothing.
func opaqueFirst(first string) bool {
	switch first {
	case "Mozilla", "Opera", "APN", "":
		return true
	}
	return false
}

func isBot(family string) bool {
	return bytes.HasSuffix(appendLower(nil, []byte(family)), []byte("bot"))
}

// firstProduct returns the first product token: up to a slash, a space followed
// by a version, a bracket or a semicolon.
func firstProduct(ua []byte) string {
	ua = bytes.Trim(ua, " []\"'\t")
	for i, c := range ua {
		if c == '/' || c == '(' || c == ';' || c == ',' || c == '[' || c == ' ' || c < 0x20 || i == maxAgentLength {
			ua = ua[:i]
			break
		}
	}
	// A version may hang on a dash: stratus-red-team_1b2c…, App-1.2.
	for i, c := range ua {
		if i > 0 && (c == '_' || c == '-') && versionLike(ua[i+1:]) {
			ua = ua[:i]
			break
		}
	}
	return string(bytes.ToValidUTF8(ua, []byte("?")))
}

// versionLike tells whether s is a version or a run's id.
func versionLike(s []byte) bool {
	t := look(s)
	if len(s) == 0 || t.digits == 0 {
		return false
	}
	return s[0] >= '0' && s[0] <= '9' && t.upper+t.lower == 0 || t.other == 0 && isID(s, t) ||
		t.digits >= 4 && t.digits+t.hexLetters+t.other == len(s)
}
