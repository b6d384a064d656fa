import { crc32 } from 'node:zlib'
import { type CrcParameters, crcs } from './crc-catalogue.ts'

/** A checksum: how wide it is, and how it is worked out. */
export interface Checksum {
  /** 8, 16 or 32 bits. */
  readonly width: number
  /** @returns an unsigned number, of `bytes[start, end)`; of all of them unless told otherwise */
  compute(bytes: Uint8Array, start?: number, end?: number): number
}

type Compute = (bytes: Uint8Array, start: number, end: number) => number

const others = {
  /** ISO 1155 as Modbus ASCII uses it: the negative of the sum of all bytes. */
  lrc: of(8, (bytes, start, end) => -sum(bytes, start, end) & 0xff),
  xor: of(8, (bytes, start, end) => {
    let result = 0
    for (let i = start; i < end; i++) result ^= bytes[i]!
    return result
  }),
  sum8: of(8, (bytes, start, end) => sum(bytes, start, end) & 0xff),
  sum16: of(16, (bytes, start, end) => sum(bytes, start, end) & 0xffff),
  sum32: of(32, (bytes, start, end) => sum(bytes, start, end) >>> 0),
} as const

/** The names of all checksums. */
export type ChecksumName = keyof typeof crcs | keyof typeof others

/**
 * All checksums by name. The CRCs have the names and parameters of the Catalogue of Parametrised CRC Algorithms
 * (reveng.sourceforge.io), in lower case: CRC-16/MODBUS is `crc16-modbus`. A few have the name under which everybody
 * knows them as well: `crc32` is CRC-32/ISO-HDLC.
 */
export const checksums: Readonly<Record<ChecksumName, Checksum>> = {
  ...(Object.fromEntries(Object.entries(crcs).map(([name, parameters]) => [name, createCrc(parameters)])) as Record<
    keyof typeof crcs,
    Checksum
  >),
  ...others,
}

/** The names of {@link checksums}, those of one kind together. */
export const checksumNames = Object.keys(checksums) as ChecksumName[]

function of(width: number, compute: Compute): Checksum {
  return { width, compute: (bytes, start = 0, end = bytes.length) => compute(bytes, start, end) }
}

/** A register of 32 bits, of which the upper ones are used where the highest bit comes first. */
function createCrc(parameters: CrcParameters): Checksum {
  const { width, polynomial, init, reflected, xorout } = parameters
  // Node.js has this one in machine code.
  if (width === 32 && polynomial === 0x04c11db7 && reflected && init === 0xffffffff && xorout === 0xffffffff) {
    return of(width, (bytes, start, end) => crc32(bytes.subarray(start, end)))
  }
  const unused = 32 - width
  if (reflected) {
    const table = tableRight(reverse(polynomial, width))
    const first = reverse(init, width)
    return of(width, (bytes, start, end) => {
      let register = first
      for (let i = start; i < end; i++) register = (register >>> 8) ^ table[(register ^ bytes[i]!) & 0xff]!
      return (register ^ xorout) >>> 0
    })
  }
  const table = tableLeft(polynomial << unused)
  const first = init << unused
  return of(width, (bytes, start, end) => {
    let register = first
    for (let i = start; i < end; i++) register = (register << 8) ^ table[((register >>> 24) ^ bytes[i]!) & 0xff]!
    return ((register >>> unused) ^ xorout) >>> 0
  })
}

function tableLeft(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let register = byte << 24
    for (let bit = 0; bit < 8; bit++) register = register < 0 ? (register << 1) ^ polynomial : register << 1
    return register
  })
}

function tableRight(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let register = byte
    for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >>> 1) ^ polynomial : register >>> 1
    return register
  })
}

function reverse(value: number, width: number): number {
  let result = 0
  for (let bit = 0; bit < width; bit++) result = (result << 1) | ((value >>> bit) & 1)
  return result >>> 0
}

function sum(bytes: Uint8Array, start: number, end: number): number {
  let result = 0
  for (let i = start; i < end; i++) result += bytes[i]!
  return result
}
