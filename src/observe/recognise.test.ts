import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recognise } from './recognise.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('recognise', () => {
  it.each([
    ['PuTTY in its SSH mode', Buffer.from('SSH-2.0-PuTTY_Release_0.81\r\n'), 'Raw'],
    ['OpenSSH', Buffer.from('SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13\r\n'), 'Raw'],
    ['PuTTY in its Telnet mode', hex('fffb1f fffb20 fffb18 fffb27 fffd01 fffb03 fffd03'), 'use nc'],
    ['telnet from inetutils', hex('fffd03 fffb18 fffb1f fffb20 fffb21 fffb22 fffb27 fffd05'), 'use nc'],
    ['a browser', Buffer.from('GET / HTTP/1.1\r\nHost: 10.0.0.7:9100\r\n\r\n'), 'HTTP'],
    ['a health check', Buffer.from('OPTIONS /health HTTP/1.0\r\n\r\n'), 'HTTP'],
    ['HTTP/2 without TLS', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'HTTP'],
    ['PROXY v1', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nhello'), 'PROXY'],
    ['PROXY v1 of a health check', Buffer.from('PROXY UNKNOWN\r\n'), 'PROXY'],
    ['PROXY v2', hex('0d0a0d0a000d0a515549540a 21 11 000c c0000201 c6336401 dc04 01bb'), 'PROXY'],
  ])('%s', (_, bytes, word) => {
    expect(recognise(bytes)).toContain(word)
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('a real ClientHello of %s', async (version) => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const client = connectTls({ port, host: '127.0.0.1', minVersion: version, maxVersion: version })
    client.on('error', () => {})
    const [socket] = await once(server, 'connection')
    const [bytes] = await once(socket, 'data')
    expect(recognise(bytes)).toContain('TLS')
    client.destroy()
    socket.destroy()
    server.close()
  })

  it.each([
    ['a scale', Buffer.from('ST,GS,+  12.50kg\r\n')],
    ['HL7', Buffer.from('\x0bMSH|^~\\&|LAB|1\r\x1c\r', 'latin1')],
    ['Modbus TCP', hex('0001 0000 0006 01 03 0000 000a')],
    ['a GPS tracker (Teltonika, IMEI first)', hex('000f 333536333037303432343431303133')],
    ['a GPS tracker (GT06 login)', hex('7878 0d 01 0123456789012345 0001 8cdd 0d0a')],
    ['a frame that starts like telnet', hex('fffb01')],
    ['bytes that start like telnet', hex('fffb01 20406080')],
    ['a record that starts like TLS', hex('160301 0200 02 000000 0000')],
    ['a word that HTTP uses', Buffer.from('GET weight\r\n')],
    ['text about a proxy', Buffer.from('PROXY alarm 7\r\n')],
    ['an SSH word in data', Buffer.from('SSH-KEY 17\r\n')],
    ['nothing', Buffer.alloc(0)],
  ])('says nothing about %s', (_, bytes) => {
    expect(recognise(bytes)).toBeUndefined()
  })

  it('says nothing about random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => recognise(Buffer.from(bytes)) === undefined),
      { numRuns: 2000 },
    )
  })
})
