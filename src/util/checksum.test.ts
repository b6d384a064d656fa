import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ChecksumName, checksumNames, checksums } from './checksum.ts'

const CHECK = Buffer.from('123456789')

/** The check values of the catalogue; of the sums, worked out by hand: the nine digits add up to 0x1dd. */
const CHECK_VALUES: Readonly<Record<ChecksumName, number>> = {
  crc8: 0xf4,
  'crc8-smbus': 0xf4,
  'crc8-autosar': 0xdf,
  'crc8-bluetooth': 0x26,
  'crc8-darc': 0x15,
  'crc8-dvb-s2': 0xbc,
  'crc8-i-432-1': 0xa1,
  'crc8-maxim-dow': 0xa1,
  'crc8-nrsc-5': 0xf7,
  'crc8-rohc': 0xd0,
  'crc8-sae-j1850': 0x4b,
  'crc8-tech-3250': 0x97,
  'crc8-wcdma': 0x25,
  'crc16-arc': 0xbb3d,
  'crc16-ccitt-false': 0x29b1,
  'crc16-ibm-3740': 0x29b1,
  'crc16-cdma2000': 0x4c06,
  'crc16-dnp': 0xea82,
  'crc16-en-13757': 0xc2b7,
  'crc16-genibus': 0xd64e,
  'crc16-gsm': 0xce3c,
  'crc16-iso-iec-14443-3-a': 0xbf05,
  'crc16-kermit': 0x2189,
  'crc16-maxim-dow': 0x44c2,
  'crc16-mcrf4xx': 0x6f91,
  'crc16-modbus': 0x4b37,
  'crc16-opensafety-a': 0x5d38,
  'crc16-opensafety-b': 0x20fe,
  'crc16-profibus': 0xa819,
  'crc16-spi-fujitsu': 0xe5cc,
  'crc16-t10-dif': 0xd0db,
  'crc16-umts': 0xfee8,
  'crc16-usb': 0xb4c8,
  'crc16-x25': 0x906e,
  'crc16-ibm-sdlc': 0x906e,
  'crc16-xmodem': 0x31c3,
  crc32: 0xcbf43926,
  'crc32-iso-hdlc': 0xcbf43926,
  'crc32-aixm': 0x3010bf7f,
  'crc32-autosar': 0x1697d06a,
  'crc32-bzip2': 0xfc891918,
  crc32c: 0xe3069283,
  'crc32-iscsi': 0xe3069283,
  'crc32-cksum': 0x765e7680,
  'crc32-jamcrc': 0x340bc6d9,
  'crc32-mpeg-2': 0x0376e6e7,
  lrc: 0x23,
  xor: 0x31,
  sum8: 0xdd,
  sum16: 0x1dd,
  sum32: 0x1dd,
}

test.each(checksumNames)('%s of "123456789"', (name) => {
  const { compute, width } = checksums[name]
  expect(compute(CHECK)).toBe(CHECK_VALUES[name])
  expect([8, 16, 32]).toContain(width)
})

test('a part of the bytes gives what these bytes give alone', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(40), fc.nat(40), (bytes, a, b) => {
      const [start, end] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)]
      for (const { compute, width } of Object.values(checksums)) {
        const result = compute(bytes, start, end)
        expect(result).toBe(compute(bytes.slice(start, end)))
        expect(result >= 0 && result < 2 ** width).toBe(true)
      }
    }),
  )
})

test('a message followed by its CRC has the remainder 0', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const modbus = checksums['crc16-modbus'].compute(bytes)
      const xmodem = checksums['crc16-xmodem'].compute(bytes)
      expect(checksums['crc16-modbus'].compute(Uint8Array.of(...bytes, modbus & 0xff, modbus >> 8))).toBe(0)
      expect(checksums['crc16-xmodem'].compute(Uint8Array.of(...bytes, xmodem >> 8, xmodem & 0xff))).toBe(0)
      expect(checksums.sum8.compute(Uint8Array.of(...bytes, checksums.lrc.compute(bytes)))).toBe(0)
    }),
  )
})
