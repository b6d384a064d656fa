import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStep } from '../testing/run-step.ts'
import { script } from './script.ts'

test('what a script writes becomes lines of the log, whole ones', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-script-'))
  writeFileSync(
    join(folder, 'talk.ts'),
    `export default (msg) => {
      console.log('got', msg)
      console.error('trouble\\nbelow')
      process.stdout.write('in ')
      process.stdout.write('pieces\\n')
      return msg
    }`,
  )
  const heard: string[] = []
  const all = Promise.withResolvers<void>()
  const context = createTestContext({
    resolvePath: (path) => resolve(folder, path),
    log: (level, text) => {
      if (heard.push(`${level}: ${text}`) === 4) all.resolve()
    },
  })
  const step = await script.create(script.options.parse({ file: 'talk.ts' }), context)
  expect((await runStep(step, createMessages(['a']))).gives).toEqual(['a'])
  await step.close?.()
  await all.promise
  expect(heard.filter((line) => line.startsWith('info'))).toEqual(['info: got a', 'info: in pieces'])
  expect(heard.filter((line) => line.startsWith('warn'))).toEqual(['warn: trouble', 'warn: below'])
  rmSync(folder, { recursive: true })
})
