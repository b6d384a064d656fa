import { expect, test } from 'vitest'
import { z } from '../contracts/schema.ts'
import { configOfValue } from './loaded.ts'
import { Report } from './report.ts'
import { validate } from './validate.ts'

test('a default that its own schema refuses is reported, and the validation ends', () => {
  const schema = z.strictObject({
    limits: z.strictObject({ size: z.number().default(5).pipe(z.number().max(1)) }).prefault({}),
    name: z.string().default('a'),
  })
  const given = { name: 'b' }
  const report = new Report(configOfValue(given, '/'))
  expect(validate(schema, given, [], report)).toBeUndefined()
  expect(report.finish()).toMatchObject([{ severity: 'error' }])
})
