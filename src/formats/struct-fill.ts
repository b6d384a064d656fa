import type { Read, Row } from './struct-bytes.ts'

/** A field that has a name: its key in the row, and how its value is read. */
export interface Slot {
  readonly key: string
  readonly read: Read
}

/** Puts the values of some fields into a row that has their keys already. */
export type Fill = (row: Row, view: DataView, at: number, bytes: Buffer) => void

/**
 * Makes one function that reads all slots. A line for each of the first ones looks clumsy and is what makes this fast: at
 * each line the engine then sees one key and one reader, and puts the reader in place. A loop takes several times as long, and so
 * does this when a server has several structs, which share these lines; `npm run bench -- --only struct` measures both.
 */
export function createFill(slots: readonly Slot[]): Fill {
  const count = slots.length
  const [
    s0 = NONE,
    s1 = NONE,
    s2 = NONE,
    s3 = NONE,
    s4 = NONE,
    s5 = NONE,
    s6 = NONE,
    s7 = NONE,
    s8 = NONE,
    s9 = NONE,
    s10 = NONE,
    s11 = NONE,
    s12 = NONE,
    s13 = NONE,
    s14 = NONE,
    s15 = NONE,
    s16 = NONE,
    s17 = NONE,
    s18 = NONE,
    s19 = NONE,
    s20 = NONE,
    s21 = NONE,
    s22 = NONE,
    s23 = NONE,
    s24 = NONE,
    s25 = NONE,
    s26 = NONE,
    s27 = NONE,
    s28 = NONE,
    s29 = NONE,
    s30 = NONE,
    s31 = NONE,
  ] = slots
  const { key: k0, read: r0 } = s0
  const { key: k1, read: r1 } = s1
  const { key: k2, read: r2 } = s2
  const { key: k3, read: r3 } = s3
  const { key: k4, read: r4 } = s4
  const { key: k5, read: r5 } = s5
  const { key: k6, read: r6 } = s6
  const { key: k7, read: r7 } = s7
  const { key: k8, read: r8 } = s8
  const { key: k9, read: r9 } = s9
  const { key: k10, read: r10 } = s10
  const { key: k11, read: r11 } = s11
  const { key: k12, read: r12 } = s12
  const { key: k13, read: r13 } = s13
  const { key: k14, read: r14 } = s14
  const { key: k15, read: r15 } = s15
  const { key: k16, read: r16 } = s16
  const { key: k17, read: r17 } = s17
  const { key: k18, read: r18 } = s18
  const { key: k19, read: r19 } = s19
  const { key: k20, read: r20 } = s20
  const { key: k21, read: r21 } = s21
  const { key: k22, read: r22 } = s22
  const { key: k23, read: r23 } = s23
  const { key: k24, read: r24 } = s24
  const { key: k25, read: r25 } = s25
  const { key: k26, read: r26 } = s26
  const { key: k27, read: r27 } = s27
  const { key: k28, read: r28 } = s28
  const { key: k29, read: r29 } = s29
  const { key: k30, read: r30 } = s30
  const { key: k31, read: r31 } = s31
  const others = slots.slice(UNROLLED)
  return (row, view, at, bytes) => {
    if (count > 0) row[k0] = r0(view, at, bytes)
    if (count > 1) row[k1] = r1(view, at, bytes)
    if (count > 2) row[k2] = r2(view, at, bytes)
    if (count > 3) row[k3] = r3(view, at, bytes)
    if (count > 4) row[k4] = r4(view, at, bytes)
    if (count > 5) row[k5] = r5(view, at, bytes)
    if (count > 6) row[k6] = r6(view, at, bytes)
    if (count > 7) row[k7] = r7(view, at, bytes)
    if (count > 8) row[k8] = r8(view, at, bytes)
    if (count > 9) row[k9] = r9(view, at, bytes)
    if (count > 10) row[k10] = r10(view, at, bytes)
    if (count > 11) row[k11] = r11(view, at, bytes)
    if (count > 12) row[k12] = r12(view, at, bytes)
    if (count > 13) row[k13] = r13(view, at, bytes)
    if (count > 14) row[k14] = r14(view, at, bytes)
    if (count > 15) row[k15] = r15(view, at, bytes)
    if (count > 16) row[k16] = r16(view, at, bytes)
    if (count > 17) row[k17] = r17(view, at, bytes)
    if (count > 18) row[k18] = r18(view, at, bytes)
    if (count > 19) row[k19] = r19(view, at, bytes)
    if (count > 20) row[k20] = r20(view, at, bytes)
    if (count > 21) row[k21] = r21(view, at, bytes)
    if (count > 22) row[k22] = r22(view, at, bytes)
    if (count > 23) row[k23] = r23(view, at, bytes)
    if (count > 24) row[k24] = r24(view, at, bytes)
    if (count > 25) row[k25] = r25(view, at, bytes)
    if (count > 26) row[k26] = r26(view, at, bytes)
    if (count > 27) row[k27] = r27(view, at, bytes)
    if (count > 28) row[k28] = r28(view, at, bytes)
    if (count > 29) row[k29] = r29(view, at, bytes)
    if (count > 30) row[k30] = r30(view, at, bytes)
    if (count > 31) row[k31] = r31(view, at, bytes)
    if (count > UNROLLED) for (const { key, read } of others) row[key] = read(view, at, bytes)
  }
}

const UNROLLED = 32
const NONE: Slot = { key: '', read: () => undefined }
