#include "proto/filter/filter_short.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A program on its way through a header of which only the kind is known. */
struct ahead {
    struct filter_kind kind;
    uint32_t a, x; /* its registers */
    uint32_t place;
    bool has_returned; /* 'a' is what it returned */
};

/* As filter_header_make() writes it. */
static bool is_byte_known(const struct filter_kind *kind, uint32_t offset, uint32_t *byte)
{
    bool is_ipv4 = kind->ip_version == 4;
    *byte = 0;
    if (offset == 0)
        *byte = is_ipv4 ? 0x45 : 0x60;
    if (offset == (is_ipv4 ? 9 : 6))
        *byte = kind->protocol;
    if (is_ipv4) /* not its length, nor the addresses */
        return offset < 12 && offset != 2 && offset != 3;
    return offset == 0 || offset == 6 || offset == 7;
}

static bool is_loaded(const struct ahead *ahead, uint32_t offset, unsigned size, uint32_t *value)
{
    uint32_t loaded = 0;
    for (unsigned i = 0; i < size; i++) {
        uint32_t byte;
        if (offset + i < offset || !is_byte_known(&ahead->kind, offset + i, &byte))
            return false;
        loaded = loaded << 8 | byte;
    }
    *value = loaded;
    return true;
}

static unsigned size_of(uint16_t code)
{
    return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

/* Each of these: false, what it does is not known. */

static bool load(struct ahead *ahead, const struct bpf_insn *insn)
{
    switch (BPF_MODE(insn->code)) {
    case BPF_IMM:
        ahead->a = insn->k;
        return true;
    case BPF_ABS:
        return is_loaded(ahead, insn->k, size_of(insn->code), &ahead->a);
    case BPF_IND:
        return is_loaded(ahead, ahead->x + insn->k, size_of(insn->code), &ahead->a);
    default:
        return false;
    }
}

static bool load_x(struct ahead *ahead, const struct bpf_insn *insn)
{
    uint32_t byte;
    switch (BPF_MODE(insn->code)) {
    case BPF_IMM:
        ahead->x = insn->k;
        return true;
    case BPF_MSH:
        if (!is_loaded(ahead, insn->k, 1, &byte))
            return false;
        ahead->x = (byte & 0xf) << 2;
        return true;
    default:
        return false;
    }
}

static bool calculate(struct ahead *ahead, const struct bpf_insn *insn)
{
    uint32_t operand = BPF_SRC(insn->code) == BPF_X ? ahead->x : insn->k;
    switch (BPF_OP(insn->code)) {
    case BPF_ADD:
        ahead->a += operand;
        return true;
    case BPF_SUB:
        ahead->a -= operand;
        return true;
    case BPF_AND:
        ahead->a &= operand;
        return true;
    case BPF_OR:
        ahead->a |= operand;
        return true;
    default:
        return false;
    }
}

static bool is_jump_taken(const struct ahead *ahead, const struct bpf_insn *insn)
{
    uint32_t operand = BPF_SRC(insn->code) == BPF_X ? ahead->x : insn->k;
    switch (BPF_OP(insn->code)) {
    case BPF_JEQ:
        return ahead->a == operand;
    case BPF_JGT:
        return ahead->a > operand;
    case BPF_JGE:
        return ahead->a >= operand;
    default: /* BPF_JSET */
        return ahead->a & operand;
    }
}

static bool jump(struct ahead *ahead, const struct bpf_insn *insn)
{
    if (BPF_OP(insn->code) == BPF_JA)
        ahead->place += insn->k;
    else
        ahead->place += is_jump_taken(ahead, insn) ? insn->jt : insn->jf;
    return true;
}

static bool exchange(struct ahead *ahead, const struct bpf_insn *insn)
{
    if (BPF_MISCOP(insn->code) == BPF_TAX)
        ahead->x = ahead->a;
    else
        ahead->a = ahead->x;
    return true;
}

static bool step(struct ahead *ahead, const struct bpf_insn *insn)
{
    switch (BPF_CLASS(insn->code)) {
    case BPF_LD:
        return load(ahead, insn);
    case BPF_LDX:
        return load_x(ahead, insn);
    case BPF_ALU:
        return calculate(ahead, insn);
    case BPF_JMP:
        return jump(ahead, insn);
    case BPF_MISC:
        return exchange(ahead, insn);
    case BPF_RET:
        ahead->a = BPF_RVAL(insn->code) == BPF_A ? ahead->a : insn->k;
        ahead->has_returned = true;
        return true;
    default: /* BPF_ST, BPF_STX: its memory is not followed */
        return false;
    }
}

/* As 'protochain' does: what is left out could be asked again. */
static bool goes_back(const struct bpf_program *program)
{
    for (unsigned i = 0; i < program->bf_len; i++) {
        const struct bpf_insn *insn = &program->bf_insns[i];
        if (BPF_CLASS(insn->code) == BPF_JMP && BPF_OP(insn->code) == BPF_JA &&
            insn->k >= program->bf_len)
            return true;
    }
    return false;
}

int filter_short_make(const struct bpf_program *program, const struct filter_kind *kind,
                      struct bpf_insn **out)
{
    enum { N_SET = 2 };
    struct ahead ahead = {.kind = *kind};
    if (!goes_back(program))
        while (!ahead.has_returned && step(&ahead, &program->bf_insns[ahead.place]))
            ahead.place++;
    uint32_t n_left = program->bf_len - ahead.place;
    struct bpf_insn *insns = calloc(N_SET + n_left, sizeof *insns);
    if (!insns)
        return -ENOMEM;
    insns[0] = (struct bpf_insn)BPF_STMT(BPF_LDX | BPF_IMM, ahead.x);
    insns[1] = (struct bpf_insn)BPF_STMT(BPF_LD | BPF_IMM, ahead.a);
    if (ahead.has_returned)
        insns[0] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_K, ahead.a);
    else
        memcpy(insns + N_SET, program->bf_insns + ahead.place, n_left * sizeof *insns);
    *out = insns;
    return 0;
}
