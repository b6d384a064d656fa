/** The starter projects of `sluice new`: each of them is written, checked, and run with its own tests. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readTemplates, writeTemplate } from '../src/cli/templates.ts'
import { readPlan } from '../src/config/read-plan.ts'
import { readCases } from '../src/testing/read-cases.ts'
import { runCase } from '../src/testing/run-case.ts'
import { rows, startFile } from './support/example.ts'
import { Peer } from './support/peer.ts'
import { temporaryFolder } from './support/server.ts'

const templates = readTemplates()

describe('starter projects', () => {
  it('are there for what people come with', () => {
    const names = templates.map(({ name }) => name)
    expect(names).toEqual(['chat', 'gps', 'hl7', 'printer', 'relay', 'scale', 'scanner', 'syslog', 'blank'])
  })

  it.each(templates)('$name: is valid without a warning, and does what its tests say', async (template) => {
    using folder = temporaryFolder()
    const paths = writeTemplate(template, folder.path, 4711, false)
    expect(paths).toEqual(['README.md', 'sluice.test.yaml', 'sluice.yaml'].map((file) => join(folder.path, file)))
    const { plan, report } = await readPlan(join(folder.path, 'sluice.yaml'), {})
    expect(report).toBe('')
    const { tests, report: problems } = await readCases(join(folder.path, 'sluice.test.yaml'))
    expect(problems).toBe('')
    for (const test of tests!) await runCase(plan!, test)
    expect(readFileSync(join(folder.path, 'sluice.yaml'), 'utf8')).toContain('port: 4711')
    const readme = readFileSync(join(folder.path, 'README.md'), 'utf8')
    expect(readme).not.toMatch(new RegExp(`\\b${template.port}\\b`))
    for (const command of ['sluice check', 'sluice test', 'sluice run']) expect(readme).toContain(command)
  })

  it('hl7: keeps a message as it came, whatever its charset, and quotes its control id as it stands', async () => {
    using folder = temporaryFolder()
    const template = templates.find(({ name }) => name === 'hl7')!
    writeTemplate(template, folder.path, template.port, false)
    await using running = await startFile(join(folder.path, 'sluice.yaml'))
    await using peer = await Peer.connect(running.port())
    const message = 'MSH|^~\\&|LAB|||||||A\\F\\B|P|2.5||||||8859/1\rPID|1||444||M\xfcller\r'
    peer.send(Buffer.from(`\x0b${message}\x1c\r`, 'latin1'))
    await peer.hear('\x1c\r')
    expect(peer.text).toContain('|P|2.5||||||8859/1\rMSA|AA|A\\F\\B\r')
    expect(rows(running, 'hl7.db', 'SELECT control_id, patient, message FROM messages')).toEqual([
      { control_id: 'A|B', patient: '444', message: new Uint8Array(Buffer.from(message, 'latin1')) },
    ])
  })

  it('write over nothing, unless they are told to', () => {
    using folder = temporaryFolder()
    const blank = templates.at(-1)!
    const mine = join(folder.path, 'sluice.yaml')
    writeFileSync(mine, 'mine')
    expect(() => writeTemplate(blank, folder.path, blank.port, false)).toThrow(
      `${mine} exists already; --force writes over it`,
    )
    expect(readFileSync(mine, 'utf8')).toBe('mine')
    writeTemplate(blank, folder.path, blank.port, true)
    expect(readFileSync(mine, 'utf8')).toContain('listen:')
  })

  it('make the folders that are missing', () => {
    using folder = temporaryFolder()
    mkdirSync(join(folder.path, 'a'))
    expect(writeTemplate(templates[0]!, join(folder.path, 'a/b/c'), 1, false)).toHaveLength(3)
  })
})
