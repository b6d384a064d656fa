import { lengthPrefix } from './length-prefix.ts'
import { definePreset } from './preset.ts'

/**
 * "MODBUS Messaging on TCP/IP Implementation Guide V1.0b", section 3.1.3: the MBAP header is transaction (2 bytes),
 * protocol (2), length (2) and unit (1); the length counts the unit and what follows it. Section 4.2.2: a frame has at
 * most 260 bytes.
 */
export const modbusTcp = definePreset(lengthPrefix, {
  name: 'modbus-tcp',
  summary: 'Takes Modbus TCP frames, each with its whole header.',
  details:
    'The frame begins with the seven bytes of the MBAP header, so `u16be(msg, 0)` is the transaction and `msg[6]` the unit, ' +
    'with `format: bytes`. When writing, give the header too; the length in it is set anew. For Modbus RTU over TCP, which ' +
    'has no header, use [gap](gap.md).',
  options: { bytes: 2, offset: 4, keepHeader: true, maxLength: 260 },
  examples: [
    {
      title: 'Read one register of unit 1',
      bytes: '\\x00\\x01\\x00\\x00\\x00\\x06\\x01\\x03\\x00\\x00\\x00\\x01',
      frames: ['\\x00\\x01\\x00\\x00\\x00\\x06\\x01\\x03\\x00\\x00\\x00\\x01'],
    },
  ],
  alsoCalled: ['modbus', 'modbustcp', 'mbap'],
})
