#!/bin/sh
# The addon under AddressSanitizer and UndefinedBehaviorSanitizer: builds it into build/sanitize and runs the native tests with it, or the test files
# that are given as arguments. Kernels and fakes that the tests compile are sanitized too. Any report fails the run.
set -eu
cd "$(dirname "$0")/.."

compiler=${CXX:-c++}
if ! runtime=$("$compiler" -print-file-name=libasan.so) || [ ! -e "$runtime" ]; then
  echo "sanitize: $compiler has no AddressSanitizer; on Debian and Ubuntu: apt-get install g++" >&2
  exit 1
fi
unset CXX
node scripts/build.mjs --sanitize
work=$(pwd)/build/sanitize
[ -e "$work/Release/lossc.node" ] || exit 1

# Compilers must not run under the sanitizer themselves, and what they make must.
cat > "$work/c++" <<WRAPPER
#!/bin/sh
unset LD_PRELOAD
exec "$compiler" -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all "\$@"
WRAPPER
chmod +x "$work/c++"
rm -rf "$work/reports"
mkdir -p "$work/reports"

# Reports go into files, so that those of child processes and of tests that pass all the same are found. Node is not made for leak detection.
options="halt_on_error=1:print_stacktrace=1:log_path=$work/reports/report"
status=0
if [ $# -eq 0 ]; then set -- test/native; fi
env CXX="$work/c++" LOSSC_ADDON="$work/Release/lossc.node" LOSSC_CACHE_DIR="$work/cache" LD_PRELOAD="$runtime" \
  ASAN_OPTIONS="$options:detect_leaks=0:allocator_may_return_null=1" UBSAN_OPTIONS="$options" \
  node node_modules/vitest/vitest.mjs run "$@" || status=$?

for report in "$work"/reports/*; do
  # A test asks for more memory than there is, which is only a warning.
  grep -q "ERROR: \|runtime error: " "$report" 2> /dev/null || continue
  echo "== $report" >&2
  cat "$report" >&2
  status=1
done
if [ "$status" -eq 0 ]; then echo "sanitize: clean"; fi
exit "$status"
