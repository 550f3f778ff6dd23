#!/bin/sh
# utils/setup.sh build|demo|test|bench ...: installs the Debian packages that are missing for
# these purposes, as root or through sudo, says which, and changes nothing else.
set -eu

build="gcc clang make pkg-config liburing-dev libjemalloc-dev libxxhash-dev liblz4-dev libisal-dev libutf8proc-dev
       libssl-dev libstemmer-dev
       libvips-dev libseccomp-dev"
demo="python3 openssl libvips-tools mate-backgrounds lomiri-wallpapers-20.04"
test="libcriterion-dev libclang-rt-14-dev python3 python3-redis python3-pytest redis-tools redis-server
      mate-backgrounds lomiri-wallpapers-20.04 libvips-tools tuxpaint-stamps-default openssl haproxy redis-sentinel prometheus-redis-exporter
      libsqlite3-dev libxapian-dev g++ python3-django-redis python3-kombu ruby-redis ruby-activesupport ruby-sidekiq php-cli php-redis"
bench="redis-server redis-tools nginx-light fio libvips-tools python3 python3-redis mate-backgrounds
       libsqlite3-dev libxapian-dev g++ wamerican"

wanted=""
for purpose in "$@"; do
	case $purpose in
	build) wanted="$wanted $build" ;;
	demo) wanted="$wanted $demo" ;;
	test)
		wanted="$wanted $test"
		# Node may come from elsewhere; Debian's npm would then be in its way.
		command -v npm >/dev/null 2>&1 || wanted="$wanted nodejs npm"
		;;
	bench) wanted="$wanted $bench" ;;
	*) echo "setup.sh: unknown purpose '$purpose'" >&2; exit 2 ;;
	esac
done

missing=""
for package in $wanted; do
	case " $missing " in *" $package "*) continue ;; esac
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
if [ -z "$missing" ]; then
	echo "setup: nothing is missing"
	exit 0
fi
echo "setup: installing$missing"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null 2>&1 || { echo "setup: run as root, or install sudo" >&2; exit 1; }
	as_root="sudo"
fi
log=$(mktemp)
if ! { $as_root apt-get update -qq &&
       $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1
then
	cat "$log" >&2
	rm -f "$log"
	exit 1
fi
rm -f "$log"
