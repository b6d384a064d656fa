import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ChecksumName, checksums } from './checksum.ts'

const CHECK = Buffer.from('123456789')

/** The check values of the catalogue; of the sums, worked out by hand: the nine digits add up to 0x1dd. */
test.each<[ChecksumName, number]>([
  ['crc8', 0xf4],
  ['crc16-modbus', 0x4b37],
  ['crc16-ccitt-false', 0x29b1],
  ['crc16-xmodem', 0x31c3],
  ['crc32', 0xcbf43926],
  ['lrc', 0x23],
  ['xor', 0x31],
  ['sum8', 0xdd],
])('%s of "123456789"', (name, check) => {
  expect(checksums[name](CHECK)).toBe(check)
})

test('a message followed by its CRC has the remainder 0', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const modbus = checksums['crc16-modbus'](bytes)
      const xmodem = checksums['crc16-xmodem'](bytes)
      expect(checksums['crc16-modbus'](Uint8Array.of(...bytes, modbus & 0xff, modbus >> 8))).toBe(0)
      expect(checksums['crc16-xmodem'](Uint8Array.of(...bytes, xmodem >> 8, xmodem & 0xff))).toBe(0)
      expect(checksums.sum8(Uint8Array.of(...bytes, checksums.lrc(bytes)))).toBe(0)
    }),
  )
})
