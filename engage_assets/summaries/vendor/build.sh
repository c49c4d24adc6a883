#!/usr/bin/env bash
# Bundle the parts of ECharts that the dashboard draws with, out of pinned npm packages; `make vendor` runs it.
# build.sh FOLDER ECHARTS_VERSION ESBUILD_VERSION: FOLDER is where npm may put the packages.
set -euo pipefail
folder=$1 echarts=$2 esbuild=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$folder"
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --no-save --loglevel=error \
  "echarts@$echarts" "esbuild@$esbuild" >/dev/null
modules=$folder/node_modules
version() { sed -n 's/^ *"version": "\(.*\)",\{0,1\}$/\1/p' "$modules/$1/package.json" | head -n 1; }

NODE_PATH=$modules "$modules/.bin/esbuild" "$here/echarts_parts.mjs" \
  --bundle --minify --format=iife --global-name=echarts --target=es2020 --legal-comments=none --log-level=warning \
  --banner:js="/*! Parts of Apache ECharts $echarts (Apache-2.0) with zrender $(version zrender) (BSD-3-Clause), d3 (BSD-3-Clause) and tslib $(version tslib) (0BSD); see echarts.LICENSE.txt */" \
  --outfile="$here/echarts.min.js"

{
  printf 'echarts.min.js is made of the following packages.\n'
  for part in echarts/NOTICE echarts/LICENSE zrender/LICENSE echarts/licenses/LICENSE-d3 tslib/LICENSE.txt; do
    printf '\n==== %s\n\n' "$part"
    cat "$modules/$part"
    printf '\n'
  done
} | sed 's/[[:space:]]*$//' >"$here/echarts.LICENSE.txt"
