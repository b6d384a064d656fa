import { Worker } from 'node:worker_threads'
import { SluiceError } from '../contracts/errors.ts'
import type { CompileAnswer, CompileJob, KaitaiSource } from './kaitai-worker.ts'

/**
 * Compiles a `.ksy` file in a thread of its own: the compiler is large and takes a second, and connections that are
 * served meanwhile must not wait for it. The thread ends with its work, and its memory with it.
 * @param file absolute
 * @param compiler absolute path of the package's entry
 * @throws SluiceError `schema_invalid`
 */
export async function compileKaitai(file: string, compiler: string): Promise<KaitaiSource> {
  const answer = await run({ file, compiler })
  if ('source' in answer) return answer.source
  throw new SluiceError('schema_invalid', `${file} cannot be used: ${answer.problem}`)
}

function run(job: CompileJob): Promise<CompileAnswer> {
  // Beside this file, in src as in dist.
  const worker = new Worker(
    new URL(import.meta.url.endsWith('.ts') ? './kaitai-worker.ts' : './kaitai-worker.js', import.meta.url),
    { name: 'sluice kaitai', workerData: job },
  )
  return new Promise((resolve) => {
    worker.once('message', resolve)
    worker.once('error', (error) => resolve({ problem: error instanceof Error ? error.message : String(error) }))
    worker.once('exit', (code) => resolve({ problem: `the compiler ended with code ${code}` }))
  })
}
