"""Attack kinds not in the public kit: to judge how far detectors carry over."""
KINDS = {}
H, D = 3600, 86400
MACH = ("partner", "service", "cron", "webhook", "etl")

def kind(f):
    KINDS[f.__name__] = f
    return f

def spread(r, t0, dur, n):
    return sorted(t0 + r.random() * dur for _ in range(n))

def tool(r):
    return r.choice(["python-requests/2.31.0", "curl/8.4.0", "Go-http-client/2.0", "aiohttp/3.9.1", "python-httpx/0.26.0"])

@kind
def bulk_download(A):
    r = A.r
    t = A.pick(("human", "partner", "service", "webhook"), lambda t: any(q.idk and q.method == "GET" for q in t.rt))
    if not t: return
    q = r.choice([q for q in t.rt if q.idk and q.method == "GET"])
    n, dur = A.lv((2000, 2 * H), (500, 5 * H), (200, 10 * H))
    st = A.when(8, 15, t.tz, 2)
    ids = [t.id_lo + r.randrange(t.id_n * 8) for _ in range(n)]
    ip = t.home_ip if t.arch == "human" else "@own"
    for x, i in zip(spread(r, st, dur, n), ids): A.add(t, x, ip, "@own", route=q, ids=i)

@kind
def slow_scrape(A):
    r = A.r
    t = A.pick(("human", "partner", "service"))
    if not t: return
    n, dur = A.lv((300, D), (120, 2 * D), (60, 3 * D))
    st = A.when(0, 24, 0, 4)
    ip = A.net(A.lv("hosting", "residential", "residential"), city=None if A.sub == 1 else t.city).ip(r)
    A.sources.append(ip)
    for x in spread(r, st, dur, n): A.add(t, x, ip, tool(r) if A.sub == 1 else "@own")

@kind
def scope_creep(A):
    r = A.r
    t = A.pick(("partner", "service", "human", "ci"), lambda t: len(t.unused_routes) > 4)
    if not t: return
    days, per = A.lv((2, 5), (3, 2), (4, 1))
    st = A.when(8, 12, t.tz, days + 1)
    rts = list(t.unused_routes); r.shuffle(rts)
    k = 0
    for d in range(days):
        for _ in range(per):
            q = rts[k % len(rts)]; k += 1
            for x in spread(r, st + d * D, 5 * H, 2): A.add(t, x, "@own", "@own", route=q)

@kind
def api_version(A):
    r, w = A.r, A.w
    t = A.pick(("partner", "service", "human"), lambda t: any(q.tpl.startswith("/v1") for q in t.rt))
    if not t: return
    res = {q.tpl.split("/")[2] for q in t.rt}
    v2 = [q for q in w.routes if q.tpl.startswith("/v2") and q.tpl.split("/")[2] in res and q not in t.rt]
    if not v2: return
    n, dur = A.lv((200, H), (40, 3 * H), (8, 4 * H))
    st = A.when(8, 18, t.tz, 2)
    for x in spread(r, st, dur, n): A.add(t, x, "@own", "@own", route=r.choice(v2))

@kind
def night_batch(A):
    r = A.r
    t = A.pick(("human", "ci", "webhook"))
    if not t: return
    n, dur = A.lv((400, 3 * H), (80, 3 * H), (25, 2 * H))
    st = A.when(1, 3, t.tz, 2)
    ip = t.home_ip if t.arch == "human" else "@own"
    for x in spread(r, st, dur, n): A.add(t, x, ip, "@own")

@kind
def ua_switch(A):
    r = A.r
    t = A.pick(("human", "partner", "service", "cron"))
    if not t: return
    n, dur = A.lv((200, H), (40, 3 * H), (6, 3 * H))
    st = A.when(9, 17, t.tz, 2)
    ua = "custom-exfil/0.1" if A.sub == 1 else tool(r)
    for x in spread(r, st, dur, n): A.add(t, x, "@own", ua)

@kind
def mint_use(A):
    r, w = A.r, A.w
    t = A.pick(("human", "ci", "service"), lambda t: "tokens:write" in t.scopes)
    if not t: return
    st = A.when(9, 17, t.tz, 2)
    ip = A.net(A.lv("hosting", "hosting", "residential"), city=t.city if A.sub == 3 else None).ip(r); A.sources.append(ip)
    post = [q for q in w.routes if q.tpl == "/v1/tokens" and q.method == "POST"][0]
    mintip = ip if A.sub < 3 else "@own"
    ua = tool(r) if A.sub < 3 else "@own"
    for i in range(A.lv(3, 1, 1)):
        at = st + i * 30
        A.add(t, at, mintip, ua, route=post, status=201)
        k = SIM.Key(r, "live", at)
        A.audit(at + 1, "token.created", token_id="tok_m%s%d" % (A.id, i), key_prefix=k.prefix, key_sha256=k.sha, owner=t.owner,
                actor="token:" + t.id, token_type="service", app=t.app, scopes=t.scopes, expires=None)
        n, dur = A.lv((60, H), (20, 3 * H), (6, 6 * H))
        for x in spread(r, at + 120, dur, n):
            q = r.choice(t.rt)
            A.add(None, x, ip, tool(r), key=k, path=q.tpl.replace("{id}", str(r.randrange(9999))), method=q.method, status=200)

@kind
def referer_leak(A):
    r = A.r
    t = A.pick(("human", "partner"))
    if not t: return
    n, dur = A.lv((40, 2 * H), (8, 2 * H), (2, H))
    st = A.when(0, 24, 0, 2)
    ip = A.net("residential", notcity=t.city if A.sub < 3 else None).ip(r); A.sources.append(ip)
    ua = SIM.BRO_UA[0] % 121
    for x in spread(r, st, dur, n): A.add(t, x, ip, ua)

@kind
def slow_stuffing(A):
    r, w = A.r, A.w
    nk, days, nip, nv = A.lv((200, 2, 40, 4), (80, 3, 25, 3), (40, 4, 20, 2))
    st = A.when(0, 24, 0, days + 1)
    n = A.net(A.lv("hosting", "proxy", "residential")); base = n.ip(r).rsplit(".", 1)[0]
    ips = [base + "." + str(1 + r.randrange(254)) for _ in range(nip)]
    A.sources += ips
    ua = tool(r)
    for _ in range(nk):
        k = SIM.Key(r, "live", 0)
        A.add(None, st + r.random() * days * D, r.choice(ips), ua, key=k, path="/v1/me", status=401)
    me = [q for q in w.routes if q.tpl == "/v1/me"][0]
    for _ in range(nv):
        t = A.pick(("human", "ci", "partner", "cron", "service"))
        if t: A.add(t, st + r.random() * days * D, r.choice(ips), ua, route=me)

@kind
def delete_burst(A):
    r, w = A.r, A.w
    t = A.pick(("human", "service", "partner", "ci", "etl"), lambda t: any(sc.endswith(":delete") for sc in t.scopes))
    if not t: return
    q = r.choice([q for q in w.routes if q.method == "DELETE" and q.scope in t.scopes])
    n, dur = A.lv((300, H), (40, H), (8, 2 * H))
    st = A.when(8, 20, t.tz, 2)
    for x in spread(r, st, dur, n): A.add(t, x, "@own", "@own", route=q)

@kind
def export_silence(A):
    r, w = A.r, A.w
    t = A.pick(("human", "service", "partner"), lambda t: any(sc.endswith(":export") for sc in t.scopes))
    if not t: return
    q = [q for q in w.routes if q.tpl.endswith("/export") and q.scope in t.scopes]
    n, dur = A.lv((60, H), (12, 2 * H), (2, 600))
    st = A.when(8, 20, t.tz, 2)
    for x in spread(r, st, dur, n): A.add(t, x, "@own", "@own", route=r.choice(q))

@kind
def keys_created(A):
    r, w = A.r, A.w
    t = A.pick(("human", "ci", "service"), lambda t: "tokens:write" in t.scopes or "admin:write" in t.scopes)
    if not t: return
    q = [q for q in w.routes if q.method in ("POST", "PUT", "DELETE") and q.scope in ("tokens:write", "admin:write") and q.scope in t.scopes]
    n, dur = A.lv((20, H), (5, H), (1, 60))
    st = A.when(8, 20, t.tz, 2)
    for x in spread(r, st, dur, n): A.add(t, x, "@own", "@own", route=r.choice(q))

@kind
def shared_hosts(A):
    """a token passed on: more and more hosts in other networks use it for the usual"""
    r = A.r
    t = A.pick(("service", "cron", "partner", "ci"))
    if not t: return
    hosts, days, n = A.lv((8, 1, 200), (4, 2, 60), (2, 3, 24))
    st = A.when(6, 12, t.tz, days + 1)
    ips = [A.net("cloud" if A.sub > 1 else "hosting").ip(r) for _ in range(hosts)]; A.sources += ips
    for x in spread(r, st, days * D, n): A.add(t, x, r.choice(ips), "@own")

@kind
def old_key(A):
    """the key before a rotation, used by somebody else after the overlap or at its end"""
    r = A.r
    t = A.pick(("human", "ci", "cron", "partner", "service"), lambda t: len(t.keys) == 2 and t.keys[0].end and t.keys[0].end < A.w.end - 2 * D and t.keys[0].end > SIM.T0 + 8 * D)
    if not t: return
    k = t.keys[0]
    st = k.end + r.uniform(1, 20) * H
    n, dur, status = A.lv((80, H, 401), (12, 3 * H, 401), (2, H, 401))
    ip = A.net(A.lv("hosting", "hosting", "residential"), city=t.city if A.sub == 3 else None).ip(r); A.sources.append(ip)
    for x in spread(r, st, dur, n): A.add(t, x, ip, tool(r) if A.sub < 3 else "@own", key=k, status=status)

@kind
def one_source(A):
    """one source quietly uses several stolen tokens"""
    r = A.r
    m, n, dur = A.lv((10, 20, 2 * H), (5, 5, 6 * H), (3, 2, 20 * H))
    st = A.when(8, 18, 0, 2)
    ip = A.net(A.lv("hosting", "hosting", "residential")).ip(r); A.sources.append(ip)
    for _ in range(m):
        t = A.pick(("human", "ci", "partner", "cron", "service"))
        if not t: return
        for x in spread(r, st, dur, n): A.add(t, x, ip, tool(r) if A.sub == 1 else "@own")

@kind
def by_hand(A):
    """a machine's token explored by hand on its own host: the machine's routes and others it may use, human pace, office hours"""
    r = A.r
    t = A.pick(("cron", "etl"), lambda t: len(t.unused_routes) > 0)
    if not t: return
    n, dur = A.lv((120, 3 * H), (40, 3 * H), (12, 2 * H))
    st = A.when(9, 16, t.tz, 2, weekday=True)
    rts = t.rt if A.sub == 3 else t.rt + t.unused_routes[:3]
    ua = tool(r) if A.sub == 1 else "@own"
    x = st
    for _ in range(n):
        A.add(t, x, "@own", ua, route=r.choice(rts))
        x += r.expovariate(n / dur)

@kind
def rate_scrape(A):
    """scraping into the rate limit through usual routes"""
    r = A.r
    t = A.pick(("human", "partner", "service", "mobile"))
    if not t: return
    n, dur, lim = A.lv((1500, H, .6), (400, 2 * H, .3), (150, 3 * H, .1))
    st = A.when(8, 18, t.tz, 2)
    for x in spread(r, st, dur, n): A.add(t, x, "@own", "@own", status=429 if r.random() < lim else 200)

@kind
def off_list(A):
    """a token with an allow-list used from elsewhere"""
    r = A.r
    t = A.pick(("partner", "cron", "etl", "service"), lambda t: t.allowed)
    if not t: return
    n, dur = A.lv((60, H), (10, 2 * H), (2, H))
    st = A.when(0, 24, 0, 2)
    ip = A.net(A.lv("hosting", "cloud", "cloud")).ip(r); A.sources.append(ip)
    for x in spread(r, st, dur, n): A.add(t, x, ip, "@own" if A.sub == 3 else tool(r))

@kind
def mix_shift(A):
    """from its own client, a token reads one seldom used route of its own, again and again"""
    r = A.r
    t = A.pick(("partner", "service"), lambda t: len(t.rt) >= 4 and t.perday > 40)
    if not t: return
    q = t.rt[-1]
    n, dur = A.lv((300, 4 * H), (60, 4 * H), (25, 6 * H))
    st = A.when(6, 18, t.tz, 2)
    for x in spread(r, st, dur, n): A.add(t, x, "@own", "@own", route=q)

@kind
def round_clock(A):
    """a person's token works evenly through day and night, little at a time, from home"""
    r = A.r
    t = A.pick("human")
    if not t: return
    per, days = A.lv((12, 2), (4, 2), (2, 2))
    st = A.when(8, 12, t.tz, 3)
    for h in range(24 * days):
        for x in spread(r, st + h * H, H, per): A.add(t, x, t.home_ip, "@own")
