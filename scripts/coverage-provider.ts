import { V8CoverageProvider } from '@vitest/coverage-v8/dist/provider.js'

type Reading = Parameters<V8CoverageProvider['readCoverageFiles']>[0]
type Context = Parameters<V8CoverageProvider['generateCoverage']>[0]
type CoverageMap = Awaited<ReturnType<V8CoverageProvider['generateCoverage']>>

/**
 * Coverage of what tests run in their own process, and of the threads and processes that they start. In the first a file has
 * passed through Vite, in the others it runs as it is: the places in it differ, and Vitest 5.1 adds up the counts of both as if
 * they did not. So each is looked at by itself here, and a file counts as it does where more of its lines have run. What one
 * has run and the other has not is not added up: the result may be too low and is never too high.
 */
export class PartsCoverage extends V8CoverageProvider {
  /** Which of the two is looked at. */
  #outside = false

  override async readCoverageFiles({ onFileRead, ...reading }: Reading): Promise<void> {
    await super.readCoverageFiles<Coverage>({
      ...reading,
      onFileRead: ({ result }) =>
        onFileRead({ result: result.filter(({ isExtendedContext = false }) => isExtendedContext === this.#outside) }),
    })
  }

  override async generateCoverage(context: Context): Promise<CoverageMap> {
    const inside = await super.generateCoverage(context)
    this.#outside = true
    const outside = await super.generateCoverage(context)
    const both = this.createCoverageMap()
    for (const file of inside.files()) {
      const isMore = outside.files().includes(file) && linesOf(outside, file) > linesOf(inside, file)
      both.addFileCoverage((isMore ? outside : inside).fileCoverageFor(file))
    }
    return both
  }
}

interface Coverage {
  readonly result: readonly { readonly isExtendedContext?: boolean }[]
}

function linesOf(map: CoverageMap, file: string): number {
  return map.fileCoverageFor(file).toSummary().lines.covered
}
