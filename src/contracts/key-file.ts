/**
 * The file in which `dedupe` keeps the keys of messages that have finished, as those see it who write it and those who
 * look into a data folder: the table `keys (id, key, time, answers)`, where a later row of a key counts.
 */

/** Version of the file's layout, kept in `PRAGMA user_version`. */
export const KEYS_VERSION = 1

/** Name of the file in the data folder. @param step id of the `dedupe` step */
export function keysFileOf(step: string): string {
  return `${PREFIX}${step}${SUFFIX}`
}

/** The step whose keys a file of this name holds; undefined when it is another file. */
export function stepOfKeysFile(name: string): string | undefined {
  if (!name.startsWith(PREFIX) || !name.endsWith(SUFFIX)) return undefined
  return name.slice(PREFIX.length, -SUFFIX.length) || undefined
}

const PREFIX = 'dedupe-'
const SUFFIX = '.db'

/** One answer: `text` is formatted and not framed, `raw` is neither to be. */
export interface KeptAnswer {
  readonly kind: 'text' | 'raw'
  readonly content: Buffer
}

/** Answers as text, because texts are what the storage thread is given fastest: a letter stands for a byte. */
export function packAnswers(answers: readonly KeptAnswer[]): string | null {
  if (answers.length === 0) return null
  return JSON.stringify(answers.map(({ kind, content }) => [kind, content.toString('latin1')]))
}

/** @param answers as they stand in the table. @throws when they are something else than {@link packAnswers} gave */
export function unpackAnswers(answers: unknown): readonly KeptAnswer[] {
  if (typeof answers !== 'string') return []
  const packed = JSON.parse(answers) as [KeptAnswer['kind'], string][]
  return packed.map(([kind, content]) => ({ kind, content: Buffer.from(content, 'latin1') }))
}
