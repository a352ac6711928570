"""Further attack kinds, none of them in the public kit nor among those of attacks_own.py."""
KINDS = {}
H, D = 3600, 86400


def kind(f):
    KINDS[f.__name__] = f
    return f


def spread(r, t0, dur, n):
    return sorted(t0 + r.random() * dur for _ in range(n))


def tool(r):
    return r.choice(["python-requests/2.31.0", "curl/8.4.0", "Go-http-client/2.0", "aiohttp/3.9.1", "python-httpx/0.26.0", "node-fetch/3.2", "Wget/1.21"])


@kind
def bola_guid(A):
    """objects of others by GUIDs that were collected elsewhere: from its own client, usual route, most are not its own (403/404)"""
    r = A.r
    t = A.pick(("human", "partner", "service", "mobile"), lambda t: any(q.idk in ("uuid", "slug") and q.method == "GET" for q in t.rt))
    if not t: return
    q = r.choice([q for q in t.rt if q.idk in ("uuid", "slug") and q.method == "GET"])
    n, dur, bad = A.lv((600, 2 * H, .7), (120, 4 * H, .4), (40, 6 * H, .25))
    st = A.when(8, 17, t.tz, 2)
    ip = t.home_ip if t.arch == "human" else "@own"
    for x in spread(r, st, dur, n):
        A.add(t, x, ip, "@own", route=q, ids=10 ** 7 + r.randrange(10 ** 8), status=r.choice((403, 404)) if r.random() < bad else 200)


@kind
def paging_exfil(A):
    """slow copy of a whole collection page by page, larger pages than usual, over days"""
    r = A.r
    t = A.pick(("human", "partner", "service"), lambda t: any(q.method == "GET" and q.tpl.count("/") == 2 and not q.idk for q in t.rt + t.unused_routes))
    if not t: return
    own = [q for q in t.rt if q.method == "GET" and q.tpl.count("/") == 2 and not q.idk]
    q = r.choice(own or [q for q in t.unused_routes if q.method == "GET" and q.tpl.count("/") == 2 and not q.idk])
    days, per, size = A.lv((1, 400, 60000), (2, 80, 60000), (3, 25, 30000))
    st = A.when(8, 11, t.tz, days + 1)
    page = 1
    ip = t.home_ip if t.arch == "human" else "@own"
    for d in range(days):
        for x in spread(r, st + d * D, 7 * H, per):
            A.add(t, x, ip, "@own", path=q.tpl + "?page=%d&per_page=500" % page, method="GET", status=200, nbytes=int(size * r.uniform(.8, 1.2)))
            page += 1


@kind
def contractor_share(A):
    """the owner hands a personal token to a contractor: another country's line, another client, office hours, the same kind of work, for days"""
    r = A.r
    t = A.pick("human")
    if not t: return
    days, per = A.lv((3, 60), (3, 20), (2, 6))
    net = A.net("residential", notcity=t.city if A.sub < 3 else None); ip = net.ip(r); A.sources.append(ip)
    ua = tool(r) if A.sub < 3 else "@own"
    st = A.when(9, 11, t.tz, days + 1, weekday=True)
    for d in range(days):
        for x in spread(r, st + d * D, 6 * H, per): A.add(t, x, ip, ua)


@kind
def residential_replay(A):
    """a stolen token replayed through a pool of residential proxies: another address each time, the owner's program"""
    r = A.r
    t = A.pick(("human", "partner", "service", "cron", "ci"))
    if not t: return
    n, dur, m = A.lv((200, 3 * H, 40), (50, 6 * H, 15), (12, 12 * H, 6))
    st = A.when(0, 24, 0, 2)
    ips = [A.net("residential", city=t.city if A.sub == 3 else None).ip(r) for _ in range(m)]
    A.sources += ips
    for x in spread(r, st, dur, n): A.add(t, x, r.choice(ips), "@own")


@kind
def ci_on_laptop(A):
    """a CI token taken home: used by hand from an engineer's line or the office"""
    r, w = A.r, A.w
    t = A.pick("ci")
    if not t: return
    n, dur = A.lv((80, 2 * H), (25, 2 * H), (6, H))
    st = A.when(9, 17, t.tz, 2, weekday=True)
    ip = A.lv(A.net("residential").ip(r), A.net("residential", city=t.city).ip(r), r.choice(w.office_ips[r.choice(sorted(w.office_ips))]))
    A.sources.append(ip)
    rt = t.rt + (t.unused_routes[:4] if A.sub < 3 else [])
    for x in spread(r, st, dur, n): A.add(t, x, ip, tool(r) if A.sub < 3 else "@own", route=r.choice(rt))


@kind
def webhook_exfil(A):
    """a webhook token registers further endpoints and fetches deliveries, from its own host"""
    r, w = A.r, A.w
    t = A.pick("webhook")
    if not t: return
    dl = [q for q in w.routes if q.tpl == "/v1/webhooks/deliveries"][0]
    n, dur, size = A.lv((200, H, 90000), (40, 3 * H, 40000), (10, 3 * H, 20000))
    st = A.when(0, 24, 0, 2)
    for i in range(A.lv(5, 2, 1)):
        A.add(t, st + i * 20, "@own", "@own", path="/v1/webhooks", method="POST", status=201)
    for x in spread(r, st + 300, dur, n): A.add(t, x, "@own", "@own", route=dl, status=200, nbytes=int(size * r.uniform(.7, 1.3)))


@kind
def refresh_theft(A):
    """a refresh token stolen: thief and app refresh in parallel; 401s when the pair is reused, and calls from both sides"""
    r = A.r
    t = A.pick(("mobile", "human", "partner"))
    if not t: return
    n, dur, fail = A.lv((40, 4 * H, 10), (16, 8 * H, 4), (6, 12 * H, 2))
    st = A.when(8, 14, t.tz, 2)
    ip = A.net(A.lv("hosting", "residential", "residential"), city=t.city if A.sub == 3 else None).ip(r); A.sources.append(ip)
    for x in spread(r, st, dur, n):
        A.add(t, x, ip, "@own", path="/oauth/token", method="POST", status=200)
        for _ in range(2): A.add(t, x + 5 + r.random() * 60, ip, "@own")
    for x in spread(r, st + 600, dur, fail): A.add(t, x, "@own", "@own", path="/oauth/token", method="POST", status=401)


@kind
def patch_creep(A):
    """privileges widened by PATCH and PUT on objects it may write: a reader that begins to change things, a few a day"""
    r, w = A.r, A.w
    t = A.pick(("human", "service", "partner", "ci"), lambda t: any(q.method in ("PATCH", "PUT") and q.scope in t.scopes for q in t.unused_routes))
    if not t: return
    q = [q for q in t.unused_routes if q.method in ("PATCH", "PUT") and q.scope in t.scopes]
    days, per = A.lv((1, 60), (2, 8), (3, 2))
    st = A.when(9, 15, t.tz, days + 1)
    for d in range(days):
        for x in spread(r, st + d * D, 3 * H, per): A.add(t, x, "@own", "@own", route=r.choice(q))


@kind
def dead_scan(A):
    """a list of retired and rotated keys is tried from one source, each once"""
    r, w = A.r, A.w
    n, dur = A.lv((40, 900), (12, 2 * H), (5, 10 * H))
    st = A.when(0, 24, 0, 2)
    ip = A.net(A.lv("hosting", "proxy", "residential")).ip(r); A.sources.append(ip)
    dead = [(t, k) for t in w.tokens for k in t.keys if k.end and k.end < st - H]
    ua = tool(r)
    for x in spread(r, st, dur, n):
        if dead and r.random() < .6:
            t, k = r.choice(dead)
        else:
            t, k = None, SIM.Key(r, "live", 0)
        A.add(None, x, ip, ua, key=k, path="/v1/me", status=401)


@kind
def consent_abuse(A):
    """a consented app changes its scopes and mailbox-like rules: configuration and role calls that the token may make but never did"""
    r, w = A.r, A.w
    t = A.pick(("human", "service", "breakglass", "ci"), lambda t: any(sc.startswith("admin") or sc.startswith("tokens") or sc.startswith("secrets") for sc in t.scopes))
    if not t: return
    adm = [q for q in w.routes if q.scope in t.scopes and q.scope.split(":")[0] in ("admin", "tokens", "secrets") and q not in t.rt]
    if not adm: return
    n, dur = A.lv((40, H), (8, 2 * H), (2, H))
    st = A.when(7, 20, t.tz, 2)
    for x in spread(r, st, dur, n): A.add(t, x, "@own", "@own", route=r.choice(adm))


@kind
def batch_abuse(A):
    """one batch or GraphQL endpoint in place of many calls: few requests, great answers"""
    r = A.r
    t = A.pick(("human", "partner", "service", "cron"))
    if not t: return
    n, dur, size = A.lv((60, H, 900000), (15, 3 * H, 400000), (4, 3 * H, 150000))
    st = A.when(8, 18, t.tz, 2)
    path = A.lv("/graphql", "/v1/batch", "/v1/batch")
    ip = t.home_ip if t.arch == "human" else "@own"
    for x in spread(r, st, dur, n): A.add(t, x, ip, "@own", path=path, method="POST", status=200, nbytes=int(size * r.uniform(.6, 1.4)))


@kind
def chain_tokens(A):
    """impersonation chain: from one source, A is used to mint B, B to mint C; the last one works"""
    r, w = A.r, A.w
    t = A.pick(("human", "ci", "service"), lambda t: "tokens:write" in t.scopes)
    if not t: return
    st = A.when(0, 24, t.tz, 2)
    ip = A.net(A.lv("hosting", "cloud", "cloud"), city=None).ip(r); A.sources.append(ip)
    post = [q for q in w.routes if q.tpl == "/v1/tokens" and q.method == "POST"][0]
    A.add(t, st, "@own" if A.sub == 3 else ip, "@own", route=post, status=201)
    maker = t.id
    for i in range(A.lv(4, 3, 2)):
        at = st + 2 + i * A.lv(60, 900, 3 * H)
        k = SIM.Key(r, "live", at); tid = "tok_c%s%d" % (A.id, i)
        A.audit(at, "token.created", token_id=tid, key_prefix=k.prefix, key_sha256=k.sha, owner=t.owner, actor="token:" + maker,
                token_type="service", app=t.app, scopes=t.scopes, expires=None)
        maker = tid
        for x in spread(r, at + 30, A.lv(50, 800, 2 * H), A.lv(20, 6, 3)):
            q = r.choice(t.rt)
            A.add(None, x, ip, tool(r), key=k, path=q.tpl.replace("{id}", str(r.randrange(9999))), method=q.method, status=200)
