"""Let tox, which loads this file by itself, find the interpreters that pyenv hides behind its shims."""

import glob
import os

root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
found = sorted(glob.glob(os.path.join(root, "versions", "3.*", "bin")))
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *found])
