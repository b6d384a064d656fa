import type { Socket } from 'node:net'
import { expect } from 'vitest'
import { exampleFile, startExample, withText } from '../../support/example.ts'
import { Peer } from '../../support/peer.ts'
import { startPlainServer } from '../../support/plain-server.ts'
import type { Configuration } from './configuration.ts'

export const printer: Configuration = {
  title: 'labels for a printer, a connection for each',
  file: exampleFile('label-printer'),
  async hold() {
    const jobs: { readonly label: string; readonly on: Socket }[] = []
    await using device = await startPlainServer((label, on) => void jobs.push({ label, on }))
    const atDevice = withText('"port":9100', `"port":${device.at.port}`)
    await using running = await startExample('label-printer', atDevice)
    await using clerk = await Peer.connect(running.port())
    await clerk.send('4711;Screws;2\n4711;^XZ~JA;1\n4712;Nuts;1\n').until(({ text }) => text.split('\n').length > 3)
    expect(clerk.text).toMatch(/^OK\nERR ARTICLE;.+\nOK\n$/)
    await device.until(({ lines, sockets }) => lines.length === 2 && sockets.size === 0)
    expect(jobs.map(({ label }) => label)).toEqual([
      '^XA^CI28^FO40,40^A0N,40,40^FDScrews^FS^FO40,100^BCN,80,Y,N^FD4711^FS^PQ2^XZ',
      '^XA^CI28^FO40,40^A0N,40,40^FDNuts^FS^FO40,100^BCN,80,Y,N^FD4712^FS^PQ1^XZ',
    ])
    expect(device.accepted).toBe(2)
    expect(new Set(jobs.map(({ on }) => on)).size).toBe(2)
  },
}
