"""What is shown: pages, a long page, a clip. The same each time, made here."""

import random

from . import host

WORDS = ("the of and a to in is it that was for on are as with they at be this from have or by one had not but what all were when we "
         "there can an your which their said if do will each about how up out them then she many some so these would other into has "
         "more her two like him see time could no make than first been its who now people my made over did down only way find use may "
         "water long little very after words called just where most know harbour lantern meadow copper granite evening ferry").split()
STYLE = ("<meta charset=utf-8><style>body{margin:18px 24px;font:15px/1.45 'Liberation Serif',serif;background:#fff;color:#111}"
         "h1{font:bold 26px sans-serif;margin:4px 0 10px}nav{background:#234a6d;color:#fff;padding:7px;font:13px sans-serif}"
         "img{float:left;margin:0 14px 8px 0}img.right{float:right;margin:0 0 8px 14px}table{border-collapse:collapse;margin:8px 0;font:13px sans-serif}"
         "td,th{border:1px solid #9ab;padding:3px 9px}tr:nth-child(even){background:#eef3f7}a{color:#0645ad}</style>")


def sentences(chance, count):
    said = []
    for _ in range(count):
        words = [chance.choice(WORDS) for _ in range(chance.randint(6, 18))]
        if chance.random() < 0.2:
            words[2] = f"<a href=#>{words[2]}</a>"
        said.append(" ".join(words).capitalize() + ".")
    return " ".join(said)


def table(chance):
    rows = "".join("<tr>" + "".join(f"<td>{chance.choice(WORDS)}<td>{chance.randint(1, 99999)}" for _ in range(3)) for _ in range(chance.randint(4, 9)))
    return "<table><tr>" + "<th>name<th>count" * 3 + rows + "</table>"


def page(chance, number, pages, pictures):
    parts = [f"<!doctype html><title>page {number}</title>{STYLE}<nav>home · news · pictures · page {number} of {pages}</nav>",
             f"<h1>{sentences(chance, 1)[:44]}</h1>"]
    for index, (name, width, height) in enumerate(pictures):
        side = " class=right" if index % 2 else ""
        parts.append(f"<img{side} src={name} width={width} height={height}><p>{sentences(chance, 8)}</p>")
        if chance.random() < 0.4:
            parts.append(table(chance))
    parts.append(f"<p>{sentences(chance, 30)}</p>")
    # Any key goes on, Q to the beginning.
    following = number % pages + 1
    parts.append(f"<script>addEventListener('keydown',e=>location.replace(e.key==='q'?'1.html':'{following}.html'))</script>"
                 f"<style>html{{height:768px;overflow:hidden}}</style>")
    return "\n".join(parts)


# A strip of noise along its left edge tells at one line how far it is scrolled. A key scrolls it for some seconds, 480 pixels a second.
SCROLLED = ("<script>addEventListener('keydown',()=>{const began=performance.now(),from=scrollY;"
            "const step=now=>{const s=(now-began)/1000;if(s<SECONDS){scrollTo(0,from+Math.round(480*s));requestAnimationFrame(step)}"
            "else scrollTo(0,0)};requestAnimationFrame(step)})</script>")


def make(program, directory, pages, clip_seconds, scroll_seconds):
    """Into an empty directory: 1.html to `pages`.html, long.html, clip.avi."""
    chance = random.Random(54)
    for number in range(1, pages + 1):
        pictures = []
        for index in range(chance.randint(1, 3)):
            width, height = chance.choice([(240, 180), (320, 240), (400, 260), (480, 320), (200, 280)])
            name = f"{number}-{index}.jpg"
            host.command([program, "picture", number * 10 + index, width, height, directory / name])
            pictures.append((name, width, height))
        (directory / f"{number}.html").write_text(page(chance, number, pages, pictures))
    blocks = []
    for index in range(24):
        width, height = chance.choice([(240, 180), (320, 240), (400, 260)])
        host.command([program, "picture", 9000 + index, width, height, directory / f"long-{index}.jpg"])
        blocks.append(f"<h1>{sentences(chance, 1)[:40]}</h1><img src=long-{index}.jpg width={width} height={height}><p>{sentences(chance, 26)}</p>"
                      f"{table(chance)}<br clear=all>")
    host.command([program, "picture", 8888, 16, 4096, directory / "strip.jpg"])
    (directory / "long.html").write_text(
        f"<!doctype html><title>long page</title>{STYLE}<style>body{{padding-left:24px;background:#fff url(strip.jpg) repeat-y}}</style>"
        + "\n".join(blocks) + SCROLLED.replace("SECONDS", str(scroll_seconds)))
    host.command([program, "clip", clip_seconds, directory / "clip.avi"])
