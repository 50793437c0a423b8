"""Looks at the pages of `artifactfs serve` and at a report as a person does, in Chromium. Prints what is not as it should be, a line each.

usage: main.py URL REPORT DIRECTORY   (screenshots are kept in DIRECTORY)
"""
import http.client
import os
import sys
import urllib.parse

from browser import Browser

problems = []


def check(good, what):
    if not good:
        problems.append(what)


def request(port, method, target, host=None, cookie=None):
    """What somebody gets who is no browser: the status, and the headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Host": host or f"127.0.0.1:{port}"}
    if cookie:
        headers["Cookie"] = cookie
    connection.request(method, target, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def door(url):
    """Who is let in."""
    parts = urllib.parse.urlsplit(url)
    token = urllib.parse.parse_qs(parts.query)["token"][0]
    port = parts.port
    status, headers, _ = request(port, "GET", f"/runs?token={token}&q=a+b")
    check(status == 303 and headers.get("Location") == "/runs?q=a%20b", f"the token: {status} {headers}")
    cookie = headers.get("Set-Cookie", "")
    check("HttpOnly" in cookie and "SameSite=Strict" in cookie, f"the cookie: {cookie}")
    cookie = cookie.split(";")[0]
    for target in ["/", "/runs", "/style.css", "/?token=", "/?token=" + "0" * 32, "/image?path=x"]:
        status, _, body = request(port, "GET", target)
        check(status == 403 and b"artifactfs serve" in body, f"without the token {target}: {status}")
    status, _, _ = request(port, "GET", "/", cookie=cookie[:-1] + "x")
    check(status == 403, f"another cookie: {status}")
    for host in ["example.org", f"example.org:{port}", "127.0.0.1.example.org", f"127.0.0.1:{port}@example.org", "[::1"]:
        status, _, _ = request(port, "GET", f"/?token={token}", host=host, cookie=cookie)
        check(status == 421, f"as {host}: {status}")
    status, _, _ = request(port, "GET", "/", host=f"localhost:{port + 1}", cookie=cookie)
    check(status == 200, f"by way of another port: {status}")
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"]:
        status, _, _ = request(port, method, "/", cookie=cookie)
        check(status == 405, f"{method}: {status}")
    status, headers, body = request(port, "HEAD", "/", cookie=cookie)
    check(status == 200 and not body and int(headers["Content-Length"]) > 500, f"HEAD: {status}")
    for path in ["../../etc/passwd", "/etc/passwd", "production/../../../etc/passwd", ".artifactfs/schema.yaml",
                 "production/base/analysis_sequences/../../../.artifactfs/format", "production/base/analysis_sequences",
                 "production/base/analysis_sequences/link.png", "\0", "a\nb", "development/current/x"]:
        for page in ["/image?path=", "/artifact?path="]:
            status, _, body = request(port, "GET", page + urllib.parse.quote(path, safe=""), cookie=cookie)
            check(status in (400, 404) and b"root:" not in body, f"{page}{path!r}: {status}")
    for plot in ["../metadata.json", "x.png", "../plots/loss.png", "loss.txt"]:
        target = "/image?session=20200101_000000&plot=" + urllib.parse.quote(plot, safe="")
        status, _, _ = request(port, "GET", target, cookie=cookie)
        check(status == 404, f"{target}: {status}")
    for target in ["/nothing", "/run", "/run?id=none", "/compare", "/compare?run=a&run=b", "/artifact", "/%ff", "/%",
                   "/runs?from=99999999999999999999", "/runs?from=-5", "/runs?from=9223372036854775807",
                   "/artifacts?q=%22", "/runs?columns=nonsense", "/runs?sort=%2C"]:
        status, headers, body = request(port, "GET", target, cookie=cookie)
        check(status in (200, 400, 404), f"{target}: {status} {body[:300]}")
    status, headers, _ = request(port, "GET", "/", cookie=cookie)
    check("default-src 'none'" in headers.get("Content-Security-Policy", ""), f"the policy: {headers}")
    check(headers.get("Referrer-Policy") == "no-referrer", "a page tells others where it is")


def looks_right(browser, name, width):
    """What holds for each page, however wide it is."""
    check(not (errors := browser.errors()), f"{name} at {width}: {errors}")
    check(browser.run("return document.documentElement.scrollWidth <= innerWidth"), f"{name} at {width}: wider than that")
    check(browser.run("return document.querySelectorAll('h1').length") == 1, f"{name}: not one h1")
    check(browser.run("return document.title") != "", f"{name}: no title")
    tree = browser.command("Accessibility.getFullAXTree", {})["nodes"]
    for node in tree:
        role = node.get("role", {}).get("value")
        if role in ("link", "button", "textbox", "searchbox", "checkbox", "image", "img", "region", "columnheader"):
            said = node.get("name", {}).get("value", "").strip()
            check(said or node.get("ignored"), f"{name}: a {role} has no name for who does not see it")
    contrast = browser.run("""
        const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
            .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
        const paper = light(getComputedStyle(document.body).backgroundColor);
        return Math.min(...Array.from(document.querySelectorAll("body, a, .note, dt, .cell, th, td, footer, .missing, .kept"), e => {
            const ink = light(getComputedStyle(e).color);
            return (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05); }));""")
    check(contrast >= 4.5, f"{name}: a text has a contrast of {contrast:.2f} only")


def visit(browser, url, name, directory):
    """A page, wide and narrow, light and dark."""
    for width, dark in [(400, True), (1200, False)]:
        browser.size(width, dark=dark)
        browser.open(url)
        looks_right(browser, name, width)
        browser.picture(os.path.join(directory, f"{name}-{width}.png"))


def inventory(browser, base, directory):
    visit(browser, base + "/", "inventory", directory)
    head = browser.texts("table.grid thead th")
    check(head[:5] == ["chr", "1", "2", "21", "X"], f"the inventory's columns: {head}")
    rows = browser.run("return Array.from(document.querySelectorAll('table.grid tbody tr'), r => r.innerText.split('\\t'))")
    rows = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    check(rows.get("analysis_sequences", [])[:4] == ["+", "-", "+", "+"], f"the inventory: {rows}")
    check(rows.get("splice_errors", [])[:4] == ["+", "+", "-", "k"], f"the inventory: {rows}")
    browser.click("td.there a")
    browser.until("the artifact that is there", "return location.pathname == '/artifacts'")
    check(browser.texts("tbody th a") == ["production/base/analysis_sequences/chr1.tsv"],
          f"a cell's artifact: {browser.texts('tbody th a')}")


def runs(browser, base, directory):
    """The table of runs is sorted and filtered, and runs are compared, by mouse and by keyboard."""
    visit(browser, base + "/runs", "runs", directory)
    heads = browser.texts("thead th")
    check("param.lr" in heads and "metric.training_metrics.loss" in heads, f"the runs' columns: {heads}")
    check(not any(head.endswith("epoch") for head in heads), f"the runs' columns: {heads}")

    def rates():
        place = browser.texts("thead th").index("param.lr")
        return browser.run(
            "return Array.from(document.querySelectorAll('tbody tr'), r => r.querySelectorAll('th, td')[arguments[0] + 1]"
            ".innerText)", place)

    def sort(name):
        heads = browser.texts("thead th")
        browser.run("document.querySelectorAll('thead th')[arguments[0]].querySelector('a').focus()", heads.index(name))
        browser.keys("\ue007")

    check(sorted(rates()) == ["0.001", "0.01", "0.1"], f"the runs' rates: {rates()}")
    sort("param.lr")
    browser.until("runs by their rates", "return document.querySelector('th[aria-sort=ascending]')?.innerText == 'param.lr'")
    check(rates() == ["0.001", "0.01", "0.1"], f"sorted: {rates()}")
    sort("param.lr")
    browser.until("the same turned", "return document.querySelector('th[aria-sort=descending]')?.innerText == 'param.lr'")
    check(rates() == ["0.1", "0.01", "0.001"], f"sorted the other way: {rates()}")
    browser.type("input[name=q]", "param.lr >= 0.01 and experiment = splice\ue007")
    browser.until("runs that a query finds", "return document.querySelectorAll('tbody tr').length == 2")
    check(rates() == ["0.1", "0.01"], f"filtered, and sorted as before: {rates()}")
    browser.type("input[name=q]", "param.lr >= >\ue007")
    said = browser.until("what is wrong", "return document.querySelector('[role=alert]')?.innerText")
    check("at character" in said and "^" in said, f"a wrong query: {said}")
    browser.errors()
    browser.open(base + "/runs?sort=param.lr")
    for place in (0, 2):
        browser.run("document.querySelectorAll('tbody input')[arguments[0]].focus()", place)
        browser.keys(" ")
    browser.click("form[action='/compare'] button")
    browser.until("the comparison", "return location.pathname == '/compare'")
    visit(browser, browser.url, "comparison", directory)
    lines = browser.texts("tbody th")
    check("param.lr" in lines and "param.model" not in lines, f"what differs: {lines}")
    check(len(browser.texts("figure svg title")) >= 2, "the comparison has no drawings")
    browser.open(browser.url + "&all=yes")
    check("param.model" in browser.texts("tbody th"), f"with what is alike: {browser.texts('tbody th')}")
    # Without any script the pages are as useful.
    browser.command("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.open(base + "/runs?q=param.lr+%3C+0.05&sort=-param.lr")
    check(rates() == ["0.01", "0.001"], f"without a script: {rates()}")
    browser.command("Emulation.setScriptExecutionDisabled", {"value": False})


def run(browser, base, directory):
    browser.open(base + "/runs?q=param.lr+%3D+0.1")
    target = browser.run("return document.querySelector('tbody th a').href")
    visit(browser, target, "run", directory)
    page = browser.run("return document.body.innerText")
    for text in ["splice", "train.py", "<script>alert(1)</script>", "param\\x1b", "it went well"]:
        check(text in page, f"the run's page lacks {text!r}")
    check(browser.run("return document.querySelectorAll('.plots svg').length") == 2, "not a drawing a metric")
    wide = browser.until("the plot", "return document.querySelector('img')?.complete && document.querySelector('img').naturalWidth")
    check(wide == 4, f"the plot is {wide} pixels wide")
    browser.size(1200, media="print")
    check(browser.run("return getComputedStyle(document.querySelector('header nav')).display") == "none",
          "on paper there is what only a screen needs")


def artifact(browser, base, directory):
    path = "production/base/splice_errors/chr1.tsv"
    visit(browser, base + "/artifact?path=" + path, "artifact", directory)
    page = browser.run("return document.body.innerText")
    for text in ["3 rows", "with status 0", "sealed", "History", "ENSG02"]:
        check(text in page, f"the artifact's page lacks {text!r}")
    nodes = browser.run("return Array.from(document.querySelectorAll('.drawing svg .box .name'), e => e.textContent)")
    check(sorted(nodes) == ["chr1.tsv", "chr1.tsv"], f"the lineage: {nodes}")
    browser.run("document.querySelector(\".drawing svg a[href*='analysis_sequences']\").dispatchEvent("
                "new MouseEvent('click', {bubbles: true}))")
    browser.until("what it was made from", "return document.querySelector('h1').innerText.includes('analysis_sequences')")
    # The first rows are sorted where they are: numbers as numbers.
    browser.run("document.querySelectorAll('table[data-sorts] th button')[2].click()")
    column = browser.texts("table[data-sorts] tbody td:nth-child(3)")
    numbers = [float(text) for text in column[:20]]
    check(len(numbers) == 20 and numbers == sorted(numbers), f"the first rows: {numbers}")
    browser.type("input[type=search]", "ENSG07")
    shown = browser.run("return Array.from(document.querySelectorAll('table[data-sorts] tbody tr')).filter(r => !r.hidden && "
                        "r.innerText.includes('ENSG')).length")
    check(shown == 1, f"filtered rows: {shown}")


def kept(browser, base, directory):
    visit(browser, base + "/kept", "kept", directory)
    page = browser.run("return document.querySelector('table').innerText")
    for text in ["production/base/splice_errors/chrX.tsv", "maker-failed", "artifactfs recover show"]:
        check(text in page, f"what was kept back: no {text!r} in {page!r}")


def report(browser, path, directory):
    visit(browser, "file://" + path, "report", directory)
    loaded = browser.run("return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))")
    check(not loaded, f"the report loads {loaded}")
    page = browser.run("return document.body.innerText")
    for text in ["Inventory", "What differs", "Each run", "production/base/splice_errors/chr1.tsv"]:
        check(text in page, f"the report lacks {text!r}")
    hashes = browser.run("return Array.from(document.querySelectorAll('code'), e => e.innerText).filter(t => /^[0-9a-f]{64}$/.test(t)).length")
    check(hashes >= 4, f"the report has {hashes} hashes")
    check(browser.run("return Array.from(document.images).every(i => i.complete && i.naturalWidth > 0)")
          and browser.run("return document.images.length") >= 3, "the report's images")
    browser.run("Array.from(document.querySelectorAll('table[data-sorts] th button')).find(b => b.textContent == 'param.lr').click()")
    order = browser.run("const t = document.querySelector('table[data-sorts]'); const p = Array.from(t.tHead.rows[0].cells)"
                        ".findIndex(c => c.innerText.startsWith('param.lr')); return Array.from(t.tBodies[0].rows, r => r.cells[p].innerText)")
    check(order == ["0.001", "0.01", "0.1"], f"the report's runs, sorted: {order}")


def main():
    url, page, directory = sys.argv[1:]
    os.makedirs(directory, exist_ok=True)
    door(url)
    browser = Browser()
    try:
        browser.size(1200)
        browser.open(url)
        check("token" not in browser.url, f"the token stays in the address: {browser.url}")
        base = url.split("/?")[0]
        for part in (inventory, runs, run, artifact, kept, report):
            try:
                part(browser, page if part is report else base, directory)
            except (AssertionError, RuntimeError, KeyError, IndexError, TypeError) as error:
                problems.append(f"{part.__name__}: {error!r}")
    finally:
        browser.close()
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


main()
