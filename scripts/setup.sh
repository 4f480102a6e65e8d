#!/bin/sh
# Makes ready what `make run` and `make test` need: Java for Spark, the Python environment, for tests a browser.
# Does nothing, and needs no network, when all of it is there. usage: setup.sh run|test
set -eu
cd "$(dirname "$0")/.."
goal=${1:-run}

fail() { printf 'cutover: %s\n' "$*" >&2; exit 1; }
say() { printf 'cutover: %s\n' "$*"; }

as_root() { # runs a command as root, or fails with 127 where that is not allowed
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then sudo "$@"
  else return 127; fi
}

system_package() { # system_package WHAT PACKAGE...: installs the first PACKAGE that this system has
  what=$1; shift
  log=$(mktemp)
  command -v apt-get >/dev/null 2>&1 || fail "$what is missing, and this system has no apt-get: install it (on Debian and Ubuntu: $1) and try again"
  say "installing $what ($1) from the system's packages"
  as_root apt-get update -qq >"$log" 2>&1 || { [ $? = 127 ] && fail "$what is missing: run 'apt-get install $1' as root and try again"; }
  for package in "$@"; do
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >>"$log" 2>&1; then
      rm -f "$log"; return 0
    fi
  done
  fail "$what could not be installed ($(grep -E '^E:' "$log" | tail -n 1 | cut -c1-160)); install '$1' by hand and try again; log: $log"
}

java_is_good() { # Java 17 or newer, with the module that Spark's vectorized reader needs
  java_command=${JAVA_HOME:+$JAVA_HOME/bin/}java
  version=$("$java_command" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1) || return 1
  [ -n "$version" ] && [ "$version" -ge 17 ] && "$java_command" --list-modules 2>/dev/null | grep -q '^jdk.incubator.vector'
}

browser_is_there() { command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1; }

library_is_there() { "$python_command" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" 2>/dev/null; }

python_is_good() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; }

python_command=${PYTHON:-python3}
command -v "$python_command" >/dev/null 2>&1 || system_package "Python 3.11" python3
if [ -z "${PYTHON:-}" ]; then # a system whose own Python is another may have these beside it
  for candidate in python3 python3.12 python3.11; do
    if python_is_good "$candidate"; then python_command=$candidate; break; fi
  done
fi
python_is_good "$python_command" ||
  fail "Python 3.11 or 3.12 is needed, $("$python_command" --version) found: install one and try again with PYTHON=/path/to/python3.11 make $goal"

java_is_good || system_package "Java 17" openjdk-17-jre-headless openjdk-21-jre-headless
java_is_good || fail "Java 17 or newer with the module jdk.incubator.vector is needed: unset JAVA_HOME or let it name such a Java"
[ "$goal" != test ] || browser_is_there || system_package "a browser for the tests" chromium chromium-browser
[ "$goal" != test ] || library_is_there libatomic.so.1 || system_package "a library of the browser's driver" libatomic1

# The lock's checksum names the environment: a changed lock makes a new one, an interrupted installation is done again.
stamp=.venv/ready-$(cat requirements-dev.lock pyproject.toml | cksum | cut -d' ' -f1)
[ -e "$stamp" ] && exit 0

need=2500000
free=$(df -Pk . | awk 'NR == 2 {print $4}')
[ "$free" -ge $need ] || fail "the disk has $((free / 1024)) MB free, the environment needs $((need / 1024)) MB: make room and try again"
"$python_command" -c 'import ensurepip, venv' 2>/dev/null ||
  system_package "Python's venv" "$("$python_command" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')" python3-venv
say "installing the Python environment into .venv (once, 1 to 3 minutes)"
rm -rf .venv
"$python_command" -m venv .venv || fail "python3 -m venv failed; see above"
log=.venv/install.log
.venv/bin/pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements-dev.lock >"$log" 2>&1 ||
  fail "the packages could not be installed: $(grep -iE '^ERROR|No space|Network|resolve' "$log" | head -n 1 | cut -c1-200); see $log; with network and disk space, try again"
.venv/bin/pip install --quiet --disable-pip-version-check --no-input --no-build-isolation --no-deps --no-index -e . >>"$log" 2>&1 ||
  fail "the project could not be installed into .venv: $(tail -n 1 "$log" | cut -c1-200)"
: >"$stamp"
