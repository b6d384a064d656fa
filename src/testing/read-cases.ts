import { formatProblems } from '../config/problems.ts'
import { Report } from '../config/report.ts'
import { loadConfig } from '../config/source.ts'
import { validate } from '../config/validate.ts'
import { caseFileSchema, type DataflowCase } from './case-schema.ts'

/** A file of dataflow tests, checked. */
export interface ReadCases {
  /** Undefined when the file has a mistake. */
  readonly tests: readonly DataflowCase[] | undefined
  /** The configuration that it names, as it was written. */
  readonly config: string | undefined
  /** All mistakes, for people to read. */
  readonly report: string
}

/** Reads a file of dataflow tests. */
export async function readCases(file: string): Promise<ReadCases> {
  const loaded = await loadConfig(file)
  const report = new Report(loaded)
  const checked = loaded.problems.length === 0 ? validate(caseFileSchema, loaded.value, [], report) : undefined
  const problems = formatProblems(report.finish())
  if (checked === undefined || report.failed) return { tests: undefined, config: undefined, report: problems }
  return { tests: checked.output.tests, config: checked.output.config, report: problems }
}
