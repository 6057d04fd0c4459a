# SPDX-License-Identifier: GPL-2.0-or-later
#
# Shorthands. The build itself is meson's (./configure sets it up); what is tested is listed in tests/meson.build.
BUILD = build

.PHONY: all demo check check-quick check-asan check-tsan check-fuzz bench format clean distclean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@./configure --build $(BUILD)

demo:
	@tools/install-deps.sh build guests
	@$(MAKE) --no-print-directory all
	@python3 tools/demo.py --build $(BUILD)

# Everything. Ends with the line "N passed, N failed".
check:
	@tools/install-deps.sh build guests test
	@$(MAKE) --no-print-directory all
	@python3 tools/guests.py kernel firmware initramfs demo-disk esp
	@python3 tests/run.py $(BUILD)

# What needs no guests and no patience.
check-quick: all
	@python3 tests/run.py $(BUILD) --suite unit --suite quick --suite cli

check-asan check-tsan: check-%:
	@[ -e build-$*/build.ninja ] || ./configure --$*
	@ninja -C build-$*
	@tools/install-deps.sh guests test
	@python3 tools/guests.py kernel firmware initramfs demo-disk
	@python3 tests/run.py build-$* --suite unit --suite cli --suite diff --suite boot

# Ten minutes for each of the formats and devices, as many at a time as there are processors; what is found to reach new code is kept.
check-fuzz:
	@[ -e build-fuzz/build.ninja ] || ./configure --fuzz
	@ninja -C build-fuzz tests/fuzz-images tests/fuzz-devices
	@python3 tests/fuzz/fuzz.py build-fuzz --seconds 600 --keep

bench:
	@tools/install-deps.sh build guests bench
	@$(MAKE) --no-print-directory all
	@python3 bench/run.py --menura $(BUILD)/menura-system-riscv64

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	@[ ! -e $(BUILD)/build.ninja ] || ninja -C $(BUILD) -t clean

distclean:
	rm -rf build build-debug build-asan build-tsan build-fuzz
