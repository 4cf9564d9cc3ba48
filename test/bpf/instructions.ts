import t from 'tap'
import {
  addImm,
  addReg,
  andImm32,
  assemble,
  atomicAdd,
  call,
  exit,
  FP,
  ja,
  jmp,
  jmp32,
  jmp32Reg,
  type Line,
  label,
  ldMap,
  ldx,
  movImm,
  movReg,
  R0,
  R1,
  R2,
  R3,
  R6,
  st,
  stx,
  toBe16,
} from '../../src/bpf/instructions.ts'

const hex = (lines: Line[]): string => Buffer.from(assemble(lines)).toString('hex')

/** As the kernel's own macros (include/linux/filter.h) make them on a little-endian machine. */
const INSTRUCTIONS: [name: string, line: Line | Line[], bytes: string][] = [
  ['BPF_MOV64_IMM(R0, 1)', movImm(R0, 1), 'b700000001000000'],
  ['BPF_MOV64_REG(R6, R1)', movReg(R6, R1), 'bf16000000000000'],
  ['BPF_ALU64_IMM(BPF_ADD, R2, -36)', addImm(R2, -36), '07020000dcffffff'],
  ['BPF_ALU64_REG(BPF_ADD, R2, R3)', addReg(R2, R3), '0f32000000000000'],
  ['BPF_ALU32_IMM(BPF_AND, R3, 0xff)', andImm32(R3, 0xff), '54030000ff000000'],
  ['BPF_ENDIAN(BPF_TO_BE, R2, 16)', toBe16(R2), 'dc02000010000000'],
  ['BPF_LDX_MEM(BPF_W, R2, R6, 4)', ldx('W', R2, R6, 4), '6162040000000000'],
  ['BPF_LDX_MEM(BPF_H, R2, R6, 18)', ldx('H', R2, R6, 18), '6962120000000000'],
  ['BPF_LDX_MEM(BPF_B, R2, R0, 19)', ldx('B', R2, R0, 19), '7102130000000000'],
  ['BPF_LDX_MEM(BPF_DW, R2, R6, 64)', ldx('DW', R2, R6, 64), '7962400000000000'],
  ['BPF_STX_MEM(BPF_DW, FP, R0, -32)', stx('DW', FP, -32, R0), '7b0ae0ff00000000'],
  ['BPF_ST_MEM(BPF_W, FP, -36, 224)', st('W', FP, -36, 224), '620adcffe0000000'],
  ['BPF_ATOMIC_OP(BPF_DW, BPF_ADD, R0, R2, 0)', atomicAdd(R0, 0, R2), 'db20000000000000'],
  ['BPF_LD_MAP_FD(R1, 5)', ldMap(R1, 5), '18110000050000000000000000000000'],
  ['BPF_EMIT_CALL(1)', call(1), '8500000001000000'],
  ['BPF_EXIT_INSN()', exit(), '9500000000000000'],
]

t.test('each instruction has the bytes that the kernel gives it', async t => {
  for (const [name, line, bytes] of INSTRUCTIONS) t.equal(hex([line].flat()), bytes, name)
})

t.test('jumps are counted from the instruction after them, over two-line ones and either way', async t => {
  const lines = [
    label('begin'),
    jmp('JEQ', R0, 0, 'end'),
    ...ldMap(R1, 3),
    jmp32('JNE', R2, 127, 'end'),
    jmp32Reg('JNE', R2, R3, 'end'),
    jmp32('JSET', R2, 0x20, 'end'),
    ja('begin'),
    label('end'),
    exit(),
  ]
  const bytes = hex(lines).match(/.{16}/g)
  t.same(bytes, [
    '1500060000000000',
    '1811000003000000',
    '0000000000000000',
    '560203007f000000',
    '5e32020000000000',
    '4602010020000000',
    '0500f9ff00000000',
    '9500000000000000',
  ])
})

t.test('a label that is missing or there twice is refused by its name', async t => {
  t.throws(() => assemble([ja('nowhere')]), { message: 'there is no label nowhere' })
  t.throws(() => assemble([label('pass'), label('pass')]), { message: 'label pass is there twice' })
})
