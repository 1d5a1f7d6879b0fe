"""``python -m txcql top``: a cluster in the terminal, as the page of ``monitor`` shows it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from typing import Any, TextIO

from twisted.internet.task import deferLater

from txcql.cli.command import Command, add_connection_arguments, connection_arguments
from txcql.integrations.requestmetrics import RequestMetrics
from txcql.integrations.statusdata import StatusData
from txcql.session.connect import connect

__all__ = ["COMMAND", "lines"]

_BARS = " ▁▂▃▄▅▆▇█"
_BAR_WIDTH = 20

_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_OWN_SCREEN, _MAIN_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def lines(data: dict[str, Any], width: int) -> list[str]:
    """The screen, line by line.

    :param data: what :meth:`txcql.integrations.statusdata.StatusData.plain` says.
    :param width: columns.
    """
    return ["".join(filter(str.isprintable, line))[:width] for line in _lines(data, width)]


def _lines(data: dict[str, Any], width: int) -> list[str]:
    session = data["session"]
    if session is None:
        return [data["title"], f"not connected: {data['error']}"]
    points = data["points"]
    found = [f"{data['title']}   cluster {session['cluster']}, protocol v{session['protocol_version']}"]
    used = [node for node in data["nodes"] if node["distance"] != "ignored"]
    up = sum(node["state"] == "up" for node in used)
    text = f"nodes up {up} of {len(used)}   requests {session['requests']}   lag {_time(data['lag'])}"
    if points:
        text += f"   {points[-1][3] or 0}/s   half {_time(points[-1][4])}   99 % {_time(points[-1][5])}"
    found += [text, f"latency {_chart([point[5] for point in points], width - 8)}", ""]
    center = None
    for node in data["nodes"]:
        if node["datacenter"] != center:
            center = node["datacenter"]
            found.append(f"data center {center}")
        found += _node(node)
    return found


def _node(node: dict[str, Any]) -> list[str]:
    state = "ignored" if node["distance"] == "ignored" else node["state"]
    text = f"  {node['name']:<24} {state:<8}"
    if state != "ignored":
        text += (
            f"in flight {node['in_flight']:<6} queued {node['queued']:<6} "
            f"half {_time(node['median']):<8} 99 % {_time(node['late']):<8}"
        )
    text += "".join(f" [{name}]" for name, about in node["signals"].items() if about["active"])
    found = [text.rstrip()]
    if node["error"] is not None:
        found.append(f"    {node['error']}")
    for link in node["connections"]:
        marks = f"marks {link['low']} and {link['high']}"
        shown = f"    {_bar(link)} {link['sent']:>5} sent, {marks}, {link['state']}"
        if link["paused_reading"]:
            shown += ", reading is paused"
        if link["orphans"]:
            shown += f", {link['orphans']} orphans"
        if link["next_reconnect"] is not None:
            shown += f", reconnect in {link['next_reconnect']:.1f} s, attempt {link['attempts']}"
        found.append(shown)
    return found


def _bar(link: dict[str, Any]) -> str:
    """A bar of requests in flight, up to the high mark; ``|`` is the low mark."""
    full = min(_BAR_WIDTH, round(_BAR_WIDTH * link["sent"] / max(1, link["high"])))
    low = min(_BAR_WIDTH - 1, int(_BAR_WIDTH * link["low"] / max(1, link["high"])))
    cells = ["#"] * full + ["."] * (_BAR_WIDTH - full)
    cells[low] = "|"
    return f"[{''.join(cells)}]"


def _chart(values: Sequence[float | None], width: int) -> str:
    shown = list(values)[-max(0, width) :]
    top = max([value for value in shown if value is not None], default=0.0)
    if not top:
        return ""
    return "".join(
        _BARS[0] if value is None else _BARS[max(1, round(value / top * (len(_BARS) - 1)))] for value in shown
    )


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not in 0.1..3600")
    return value


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_connection_arguments(parser)
    parser.add_argument(
        "--interval", metavar="SECONDS", type=_seconds, default=1.0, help="between two looks (1)"
    )
    parser.add_argument(
        "--count",
        metavar="N",
        type=int,
        default=None,
        help="end after so many looks (it goes on until Ctrl-C)",
    )


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    points, settings = connection_arguments(found)
    given = {name: value for name, value in settings.items() if value is not None}
    requests = RequestMetrics()
    session = await connect(reactor, points, observers=[requests], application_name="txcql top", **given)
    data = StatusData(session, reactor, requests, f"txcql: {', '.join(points)}", probing=True)
    data.sampler.start()
    screen = output.isatty()
    if screen:
        output.write(_OWN_SCREEN)
        reactor.addSystemEventTrigger("after", "shutdown", output.write, _MAIN_SCREEN)
    left = found.count
    try:
        while left is None or left > 0:
            await deferLater(reactor, found.interval)
            shown = lines(data.plain(), shutil.get_terminal_size().columns if screen else 1000)
            if screen:
                text = "".join(f"{line}{_CLEAR_LINE}\r\n" for line in shown)
                output.write(f"{_HOME}{text}{_CLEAR_BELOW}")
            else:
                output.write("".join(f"{line}\n" for line in (*shown, "")))
            output.flush()
            left = left - 1 if left is not None else None
    finally:
        data.sampler.stop()
        await session.close()


COMMAND = Command(
    "top",
    "show a cluster, live, in the terminal",
    "Connect to a cluster and show its nodes, connections and latency in the terminal.",
    _add_arguments,
    _run,
)
