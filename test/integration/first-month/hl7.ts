import { expect } from 'vitest'
import { deadLetters, exampleFile, refuseInserts, rows, startExample } from '../../support/example.ts'
import { Peer } from '../../support/peer.ts'
import type { Configuration } from './configuration.ts'

export const hl7: Configuration = {
  title: 'HL7 that gets AA after the row, AE when it cannot be stored and AR when it is no HL7',
  file: exampleFile('hl7-mllp'),
  async hold() {
    await using running = await startExample('hl7-mllp')
    await using lab = await Peer.connect(running.port())
    const send = (id: number) =>
      lab.send(`\x0bMSH|^~\\&|LAB|A|EHR|B|20260101||ORU^R01|${id}|P|2.5\rPID|1||4444^^^A\r\x1c\r`)
    send(4711)
    await lab.hear('MSA|AA|4711\r\x1c\r')
    expect(lab.text.startsWith('\x0bMSH|^~\\&|EHR|B|LAB|A|')).toBe(true)
    send(4711)
    await lab.until(({ text }) => text.split('MSA|AA|4711\r\x1c\r').length === 3)
    expect(rows(running, 'hl7.db', 'SELECT control_id, type FROM messages')).toEqual([
      { control_id: '4711', type: 'ORU^R01' },
    ])
    refuseInserts(running, 'hl7.db', 'messages')
    send(4712)
    await lab.hear('MSA|AE|4712|')
    lab.send('\x0bhello\x1c\r')
    await lab.hear('MSA|AR||')
    expect((await deadLetters(running)).map(({ code }) => code)).toEqual(['sink_failed', 'format_invalid'])
  },
}
