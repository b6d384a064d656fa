import { crc32 } from 'node:zlib'

/**
 * Checksums by name, each from bytes to an unsigned number. The CRCs have the names and parameters of the Catalogue of
 * Parametrised CRC Algorithms (reveng.sourceforge.io): CRC-8/SMBUS, CRC-16/MODBUS, CRC-16/IBM-3740 (known as
 * CCITT-FALSE), CRC-16/XMODEM and CRC-32/ISO-HDLC.
 */
export const checksums = {
  crc8: (bytes) => shiftLeft(bytes, CRC8, 8, 0),
  'crc16-modbus': (bytes) => shiftRight(bytes, CRC16_REFLECTED, 0xffff),
  'crc16-ccitt-false': (bytes) => shiftLeft(bytes, CRC16, 16, 0xffff),
  'crc16-xmodem': (bytes) => shiftLeft(bytes, CRC16, 16, 0),
  crc32: (bytes) => crc32(bytes),
  /** ISO 1155 as Modbus ASCII uses it: the negative of the sum of all bytes. */
  lrc: (bytes) => -sum(bytes) & 0xff,
  xor: (bytes) => bytes.reduce((result, byte) => result ^ byte, 0),
  sum8: (bytes) => sum(bytes) & 0xff,
} as const satisfies Readonly<Record<string, (bytes: Uint8Array) => number>>

export type ChecksumName = keyof typeof checksums

const CRC8 = tableLeft(0x07, 8)
const CRC16 = tableLeft(0x1021, 16)
/** The polynomial 0x8005 with its bits in reverse. */
const CRC16_REFLECTED = tableRight(0xa001)

function sum(bytes: Uint8Array): number {
  return bytes.reduce((result, byte) => result + byte, 0)
}

function shiftLeft(bytes: Uint8Array, table: Uint16Array, width: number, start: number): number {
  const mask = 2 ** width - 1
  let register = start
  for (const byte of bytes) {
    register = ((register << 8) & mask) ^ table[((register >> (width - 8)) ^ byte) & 0xff]!
  }
  return register
}

function shiftRight(bytes: Uint8Array, table: Uint16Array, start: number): number {
  let register = start
  for (const byte of bytes) register = (register >> 8) ^ table[(register ^ byte) & 0xff]!
  return register
}

function tableLeft(polynomial: number, width: number): Uint16Array {
  const top = 1 << (width - 1)
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let register = byte << (width - 8)
    for (let bit = 0; bit < 8; bit++) register = register & top ? (register << 1) ^ polynomial : register << 1
    return register & (2 ** width - 1)
  })
}

function tableRight(polynomial: number): Uint16Array {
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let register = byte
    for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >> 1) ^ polynomial : register >> 1
    return register
  })
}
