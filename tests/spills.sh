#!/bin/sh
# spills.sh [-v | -c] OBJECT ... - finds vector registers that a compiler keeps on the stack inside
# the innermost product loops of kernels: one line for each such loop, status 1 if there is any.
#
# It reads code of x86-64 and arm64, for any CPU; $OBJDUMP disassembles it (default: objdump, for
# arm64 on another machine aarch64-linux-gnu-objdump). A loop is a backward jump whose target leads
# to it again without leaving what lies between the two, and it is innermost if it has no other loop
# in it. Those with an instruction that multiplies count, in all functions but those of
# elementwise.h and vectorized.h, whose polynomials have more constants than there are registers. A
# spill is a store of a vector to the stack. A reload is a load of one from a place on the stack
# that does not move with the loop: arrays of a kernel are read at an index or through a pointer.
# -v prints the sum of each object, too. -c prints for each function the loop with the most products
# and what share of its instructions they are, by which kernels are judged for machines that are not
# at hand.
set -u
verbose=0
counts=0
case ${1-} in
-v) verbose=1 && shift ;;
-c) counts=1 && shift ;;
esac
[ $# -gt 0 ] || { echo "usage: spills.sh [-v | -c] OBJECT ..." >&2; exit 2; }

sources=$(dirname "$0")/../src/kernels
others=$(sed -nE 's/^(static|ALWAYS_INLINE) .*[ *]([a-z0-9_]+)\(.*/\2/p' \
    "$sources/elementwise.h" "$sources/vectorized.h") || exit 2

status=0
for object in "$@"; do
    tool=${OBJDUMP:-objdump}
    arm=0
    # e_machine of its ELF header is 183, EM_AARCH64
    if [ "$(od -An -tu1 -j18 -N1 "$object" | tr -d ' ')" = 183 ]; then
        arm=1
        [ "$(uname -m)" = aarch64 ] || tool=${OBJDUMP:-aarch64-linux-gnu-objdump}
    fi
    code=$("$tool" -d --no-show-raw-insn "$object") || exit 2
    printf '%s\n' "$code" | awk -v object="$object" -v verbose=$verbose -v counts=$counts -v arm=$arm \
        -v others="$(printf '%s' "$others" | tr '\n' ' ')" '
    BEGIN {
        if (arm) {
            leaves = "^(b|ret|br)([ \t]|$)"
            jumps = "^(b|b\\.[a-z]+|cbn?z|tbn?z)[ \t]"
            multiplies = "^(fmul|fmla|fmls|[su]dot|usdot|[su]mmla|usmmla|[su]mull2?|[su]mlal2?)[ \t]"
            stores_vector = "^st[rpu]r?[ \t]+q"
            loads_vector = "^ld[rpu]r?[ \t]+q"
        } else {
            leaves = "^(jmp|ret)"
            jumps = "^j"
            multiplies = "^v(p?fn?m)(add|sub)|^vmulpd|^vpdp|^vpmadd"
        }
    }
    # Marks what is reached from first and leads to last within first .. last: with 3. Returns
    # whether there is such a way.
    function mark_ways(first, last,    i, changed) {
        split("", mark)
        mark[first] = 1
        do {
            changed = 0
            for (i = first; i <= last; i++)
                if (mark[i] == 1 && !done[i]) {
                    done[i] = changed = 1
                    if (text[i] !~ leaves && i < last) mark[i + 1] = 1
                    if (to[i] >= first && to[i] <= last) mark[to[i]] = 1
                }
        } while (changed)
        split("", done)
        if (mark[last] != 1) return 0
        mark[last] = 3
        do {
            changed = 0
            for (i = last - 1; i >= first; i--)
                if (mark[i] == 1 && (text[i] !~ leaves && mark[i + 1] == 3 ||
                                     to[i] >= first && to[i] <= last && mark[to[i]] == 3)) {
                    mark[i] = 3
                    changed = 1
                }
        } while (changed)
        return 1
    }
    function count_loop(first, last,    i, size, products, stores, loads) {
        mark_ways(first, last)
        for (i = first; i <= last; i++)
            if (mark[i] == 3) {
                size++
                if (text[i] ~ multiplies) products++
            }
        if (products == 0) return
        n_loops++
        if (products > most[name]) {
            most[name] = products
            count[name] = sprintf("%s: %s at %s: %d products in %d instructions: %.2f",
                                  object, name, hex[first], products, size, products / size)
        }
        for (i = first; i <= last; i++) {
            if (mark[i] != 3) continue
            if (arm) {
                if (text[i] !~ /\[sp(,|\])/) continue
                if (text[i] ~ stores_vector) stores++
                else if (text[i] ~ loads_vector && text[i] ~ at_rest) loads++
                continue
            }
            if (text[i] !~ /^v/ || text[i] !~ on_stack) continue
            if (text[i] ~ /^vmov[a-z0-9]* +%[xyz]mm[0-9]+,/) stores++
            else if (text[i] !~ /^vp?broadcast|\{1to/ && text[i] ~ at_rest) loads++
        }
        if (stores + loads == 0) return
        if (!counts)
            printf "%s: %s at %s: %d spills, %d reloads in a loop of %d instructions, %d of them products\n",
                object, name, hex[first], stores, loads, size, products
        all_stores += stores; all_loads += loads; failed = 1
    }
    # The place that instruction i jumps to within the function, or 0.
    function jumps_to(i,    n, word) {
        if (text[i] !~ jumps) return 0
        n = split(text[i], word)
        for (n = arm ? n : 2; n > 1 && word[n] !~ /^(0x)?[0-9a-f]+$/; n--) continue
        return word[n] in at ? at[word[n]] : 0
    }
    function end_of_function(    i, j, n, from, till, inner) {
        sub(/\..*/, "", name) # what a compiler made of a part of a function
        if (index(" " others " ", " " name " ") == 0) {
            # where a function has a frame pointer, that leads to the stack, too
            at_rest = arm ? "\\[sp(, #[0-9]+)?\\]" : frame ? "\\(%r[sb]p\\)" : "\\(%rsp\\)"
            on_stack = frame ? "\\(%r[sb]p" : "\\(%rsp"
            for (i = 1; i <= size; i++)
                to[i] = jumps_to(i)
            n = 0
            for (i = 1; i <= size; i++)
                if (to[i] && to[i] <= i) {
                    inner = 1
                    for (j = n - 1; j >= 0 && inner; j--)
                        inner = from[j] < to[i]
                    if (inner && mark_ways(to[i], i)) { from[n] = to[i]; till[n++] = i }
                }
            for (i = 0; i < n; i++) count_loop(from[i], till[i])
        }
        split("", at); size = 0; frame = 0
    }
    /^[0-9a-f]+ <.*>:$/ { end_of_function(); name = substr($2, 2, length($2) - 3); next }
    /^ +[0-9a-f]+:/ {
        size++
        address = $1; sub(/:$/, "", address)
        at[address] = size; hex[size] = address
        sub(/^ +[0-9a-f]+:[ \t]*/, "")
        sub(/^\{vex\} +/, "")
        if (arm) sub(/[ \t]*\/\/.*| <.*/, "")
        text[size] = $0
        if ($0 ~ /^mov +%rsp,%rbp/) frame = 1
    }
    END {
        end_of_function()
        if (verbose)
            printf "%s: %d spills, %d reloads in %d loops\n", object, all_stores, all_loads, n_loops
        if (counts) for (name in count) print count[name]
        exit failed && !counts
    }' || status=1
done
exit $status
