"""The documentation's settings. The build needs no network."""

import sys
from pathlib import Path

import txcql

here = Path(__file__).parent
sys.path.insert(0, str(here))

project = "txcql"
author = "the txcql contributors"
copyright = "2026, the txcql contributors"
version = release = txcql.__version__

extensions = [
    "sphinx.ext.autodoc",
    "autointerface",
    "conformancetable",
    "importgraph",
    "metricstable",
    "settingstable",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"txcql {release}"
html_copy_source = False

default_role = "py:obj"
nitpicky = True
# Names that are documented elsewhere; their inventories would have to be fetched.
nitpick_ignore_regex = [
    (r"py:class", r"Parameters|Deferred|OnResult|OnError|IReactorTime|RequestOptions|.*SessionCore"),
    (r"py:class", r"Partitioner|PageSource|NodeInfo|re\.Pattern"),
    (r"py:class", r"txcql\.testing\.(reactions\..*|faketopology\.NodeInfo|.*\._T)"),
    (r"py:(attr|data|exc)", r"cassandra_reactor|names|VARIABLE|CannotListenError"),
    (r"py:class", r".*\.(PreparedGeneration|Prefixes|Message|Codec|ClusterView|StatementExecutor)"),
    (
        r"py:.*",
        r"(twisted|zope|asyncio|_asyncio|concurrent|collections|datetime|decimal|ipaddress|os|typing|types|uuid)\..*",
    ),
    (r"py:class", r"txcql\.settings\.Settings|Crawler|BaseSettings|(prometheus_client|scrapy)\..*"),
    (r"py:class", r"ConnectOptions|txcql\.aio\.futures\.[TR]"),
]

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}

smallest = (here / "examples" / "smallest.py").read_text("utf-8")
readme = (here.parent / "README.rst").read_text("utf-8")
if "".join(f"    {line}\n" for line in smallest.splitlines()) not in readme:
    raise ValueError("README.rst does not show docs/examples/smallest.py as it is")
