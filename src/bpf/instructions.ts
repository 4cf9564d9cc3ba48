/**
 * Programs as lines: an instruction each, or a label that jumps name.
 *
 *     assemble([
 *       movReg(R6, R1),
 *       ldx('W', R2, R6, 4),
 *       jmp32('JNE', R2, 127, 'pass'),
 *       …
 *       label('pass'),
 *       movImm(R0, 1),
 *       exit(),
 *     ])
 *
 * As much of BPF as is needed here, under the names of linux/bpf.h and bpf_common.h. A struct bpf_insn is eight
 * bytes: code, dst_reg and src_reg (four bits each), off, imm.
 */

/** Registers: R0 what comes back, R1 to R5 arguments, which a call destroys, R6 to R9 ours, R10 the frame. */
export const [R0, R1, R2, R3, R4, R6, R7, R8, FP] = [0, 1, 2, 3, 4, 6, 7, 8, 10] as const

/** A line of a program. */
export type Line = Instruction | { label: string }

export interface Instruction {
  code: number
  dst: number
  src: number
  off: number
  imm: number
  /** The label that it jumps to, which becomes `off`. */
  to?: string
}

/** BPF_SIZE */
const sizes = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const
export type Size = keyof typeof sizes

/** BPF_OP of jumps */
const jumps = { JEQ: 0x10, JSET: 0x40, JNE: 0x50 } as const
export type Jump = keyof typeof jumps

/** BPF_CLASS */
const [LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64] = [0, 1, 2, 3, 4, 5, 6, 7] as const
const X = 0x08 // BPF_X: the source is a register
const MEM = 0x60
const IMM64 = 0x18 // BPF_IMM | BPF_DW
const [ADD, AND, MOV, CALL, EXIT] = [0x00, 0x50, 0xb0, 0x80, 0x90] as const
const ATOMIC = 0xc0
const TO_BE = 0xd8 // BPF_END | BPF_TO_BE
const PSEUDO_MAP_FD = 1

const line = (code: number, dst = 0, src = 0, off = 0, imm = 0): Instruction => ({ code, dst, src, off, imm })

/** BPF_MOV64_IMM */
export const movImm = (dst: number, imm: number) => line(ALU64 | MOV, dst, 0, 0, imm)
/** BPF_MOV64_REG */
export const movReg = (dst: number, src: number) => line(ALU64 | MOV | X, dst, src)
/** BPF_ALU64_IMM(BPF_ADD) */
export const addImm = (dst: number, imm: number) => line(ALU64 | ADD, dst, 0, 0, imm)
/** BPF_ALU64_REG(BPF_ADD) */
export const addReg = (dst: number, src: number) => line(ALU64 | ADD | X, dst, src)
/** BPF_ALU32_IMM(BPF_AND) */
export const andImm32 = (dst: number, imm: number) => line(ALU | AND, dst, 0, 0, imm)
/** BPF_ENDIAN(BPF_TO_BE): the low 16 bits in the other order, all else zero. */
export const toBe16 = (dst: number) => line(ALU | TO_BE, dst, 0, 0, 16)

/** BPF_LDX_MEM */
export const ldx = (size: Size, dst: number, base: number, off: number) =>
  line(LDX | MEM | sizes[size], dst, base, off)
/** BPF_STX_MEM */
export const stx = (size: Size, base: number, off: number, src: number) =>
  line(STX | MEM | sizes[size], base, src, off)
/** BPF_ST_MEM */
export const st = (size: Size, base: number, off: number, imm: number) =>
  line(ST | MEM | sizes[size], base, 0, off, imm)
/** BPF_ATOMIC_OP(BPF_DW, BPF_ADD) */
export const atomicAdd = (base: number, off: number, src: number) =>
  line(STX | ATOMIC | sizes.DW, base, src, off)

/** BPF_LD_MAP_FD: two lines. */
export const ldMap = (dst: number, fd: number): Line[] => [
  line(LD | IMM64, dst, PSEUDO_MAP_FD, 0, fd),
  line(0),
]

/** BPF_EMIT_CALL */
export const call = (helper: number) => line(JMP | CALL, 0, 0, 0, helper)
export const exit = () => line(JMP | EXIT)
export const label = (name: string): Line => ({ label: name })

/** BPF_JMP_A */
export const ja = (to: string): Line => ({ ...line(JMP), to })
/** BPF_JMP_IMM, on 64 bits, as the verifier wants it for pointers. */
export const jmp = (op: Jump, reg: number, imm: number, to: string): Line => ({
  ...line(JMP | jumps[op], reg, 0, 0, imm),
  to,
})
/** BPF_JMP32_IMM, on 32 bits: an immediate would be extended to 64 by its sign. */
export const jmp32 = (op: Jump, reg: number, imm: number, to: string): Line => ({
  ...line(JMP32 | jumps[op], reg, 0, 0, imm),
  to,
})
/** BPF_JMP32_REG */
export const jmp32Reg = (op: Jump, reg: number, src: number, to: string): Line => ({
  ...line(JMP32 | jumps[op] | X, reg, src),
  to,
})

/** Of an instruction. */
export const INSN_SIZE = 8

/** The bytes of a program. @throws RangeError for a label that is not there, or there twice */
export function assemble(lines: readonly Line[]): Uint8Array {
  const labels = new Map<string, number>()
  const instructions: Instruction[] = []
  for (const each of lines) {
    if ('code' in each) instructions.push(each)
    else if (labels.has(each.label)) throw new RangeError(`label ${each.label} is there twice`)
    else labels.set(each.label, instructions.length)
  }
  const bytes = new Uint8Array(instructions.length * INSN_SIZE)
  const view = new DataView(bytes.buffer)
  for (const [i, { code, dst, src, off, imm, to }] of instructions.entries()) {
    const at = i * INSN_SIZE
    view.setUint8(at, code)
    view.setUint8(at + 1, dst | (src << 4))
    view.setInt16(at + 2, to === undefined ? off : distance(labels.get(to), i, to), true)
    view.setInt32(at + 4, imm, true)
  }
  return bytes
}

/** Jumps count from the instruction after them. */
function distance(target: number | undefined, from: number, name: string): number {
  if (target === undefined) throw new RangeError(`there is no label ${name}`)
  return target - from - 1
}
