/**
 * The rules of DESIGN section 5 as a program: which file may know of which, how large things may grow, and what may not
 * appear. `node scripts/layers.ts` prints what is wrong; `test/layers.test.ts` does the same in the test suite.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lineAt, readSource, type SourceText } from './source-text.ts'

/** A folder of `src/` and its rank: a file may import its own folder and folders of a lower rank. */
export const ranks: Readonly<Record<string, number>> = {
  util: 0,
  codegen: 0.5,
  contracts: 1,
  brokers: 1.5,
  wire: 1.5,
  transports: 2,
  guards: 2,
  framings: 2,
  formats: 2,
  steps: 2,
  sinks: 2,
  subscriptions: 2,
  expression: 2,
  storage: 2,
  delivery: 2,
  clients: 2,
  observe: 2,
  engine: 3,
  source: 3.5,
  relay: 3.5,
  registry: 3,
  config: 4,
  library: 4.5,
  cluster: 5,
  sniff: 5,
  testing: 5,
  admin: 6,
  cli: 7,
}

/**
 * Folders of interchangeable parts, and who may name them besides `src/index.ts`, `testing/` and tests. Parts that a
 * configuration names are listed in the registry. A transport has no name in a configuration, so there is nothing to
 * list: whatever makes a running server or client brings it along.
 */
const partFolders: Readonly<Record<string, readonly string[]>> = {
  framings: ['registry/builtins.ts'],
  formats: ['registry/builtins.ts'],
  steps: ['registry/builtins.ts'],
  sinks: ['registry/builtins.ts'],
  subscriptions: ['registry/builtins.ts'],
  guards: ['config', 'library'],
  transports: ['config', 'library', 'cluster'],
}

const limits = { fileLines: 500, engineFiles: 11, engineCodeLines: 1500, bytePathCodeLines: 700 }
const bytePath = ['wire/framer.ts', 'engine/connection.ts', 'engine/lane.ts', 'engine/dataflow.ts']

/** What may not appear in code, and in which folders it may all the same. */
const forbidden: readonly {
  what: string
  pattern: RegExp
  allowedIn?: readonly string[]
  onlyIn?: readonly string[]
}[] = [
  {
    what: 'the type any',
    pattern: /(?:[:<|&=]|\b(?:as|is|satisfies|extends|keyof))\s*any\b(?!\s*[:(?.])|,\s*any\s*>/g,
  },
  { what: 'console', pattern: /\bconsole\s*\./g, allowedIn: ['cli'] },
  { what: 'process.argv', pattern: /\bprocess\s*\.\s*argv\b/g, allowedIn: ['cli'] },
  { what: 'process.exit', pattern: /\bprocess\s*\.\s*exit(?:Code)?\b/g, allowedIn: ['cli'] },
  { what: 'process.env', pattern: /\bprocess\s*\.\s*env\b/g, allowedIn: ['config', 'library', 'cli'] },
  { what: 'code made from text', pattern: /\bnew\s+Function\b|(?<![.\w])(?:eval|Function)\s*\(/g },
  { what: 'module-level mutable state', pattern: /^(?:export\s+)?(?:let|var)\s/gm },
  {
    what: 'time or chance that does not come from the context',
    pattern: /\bDate\.now\s*\(|\bnew\s+Date\s*\(\s*\)|\bMath\.random\s*\(|\bperformance\.now\s*\(/g,
    onlyIn: ['framings', 'formats', 'steps', 'expression'],
  },
]

/** Packages and parts of Node that only some folders or files may name. */
interface PackageRule {
  readonly name: RegExp
  readonly onlyIn?: readonly string[]
  readonly notIn?: readonly string[]
  readonly except?: RegExp
}

const packages: readonly PackageRule[] = [
  { name: /^zod(?:\/|$)/, onlyIn: ['contracts/schema.ts'] },
  { name: /^commander$/, onlyIn: ['cli'] },
  { name: /^vitest$/, onlyIn: ['testing'] },
  {
    name: /^node:(?:fs|http|https|child_process)(?:\/|$)|^yaml$/,
    notIn: ['engine', 'framings', 'formats', 'steps', 'contracts', 'util'],
    // A script is the user's own file, run in a thread; making a folder is what storage and sinks have in common; what
    // describes a format is a file, which is read once, when the format is made; a schema or a table of a step is one too;
    // `reply: { file }` answers with one.
    except: /^steps\/(?:script|text-file\.|reply-file\.)|^util\/folder\.|^formats\/(?:kaitai-worker|schema-imports)\./,
  },
  {
    name: /^node:(?:net|tls|dgram|worker_threads|cluster|sqlite)$/,
    notIn: ['engine', 'framings', 'formats', 'steps', 'sinks', 'subscriptions', 'brokers', 'contracts', 'util'],
    except: /^steps\/script|^formats\/kaitai-compile\.|^formats\/kaitai-worker\./,
  },
  // Code made from text, by another name: of pieces that stand in this program, and what the compiler of Kaitai makes of the
  // operator's file.
  { name: /^node:vm$/, onlyIn: ['codegen', 'formats/kaitai-type.ts'] },
]

/** One broken rule, as `path:line: sentence`; paths begin at the folder that was checked. */
export type Violation = string

interface SourceFile {
  /** Relative to `src/`, with slashes. */
  readonly path: string
  /** '' for a file that lies in `src/` itself. */
  readonly folder: string
  readonly raw: string
  readonly text: SourceText
  readonly imports: readonly Import[]
}

interface Import {
  readonly specifier: string
  readonly line: number
  /** Relative to `src/`; undefined for a package. */
  readonly target: string | undefined
  /** True for `import './file.ts'`, which is there for what the file does. */
  readonly bare: boolean
}

/**
 * Checks a tree of sources. Test files (`*.test.ts`) are exempt from all rules but the size of a file.
 * @param src the folder `src/` itself
 */
export function checkLayers(src: string): Violation[] {
  const all = findSources(src)
  const files = all.filter(({ path }) => !path.endsWith('.test.ts'))
  return [
    ...all.flatMap(checkSize),
    ...files.flatMap(checkImports),
    ...files.flatMap(checkContent),
    ...checkEngine(files),
    ...findCycles(files),
  ]
}

function checkSize({ path, text }: SourceFile): Violation[] {
  if (text.lines <= limits.fileLines) return []
  return [`src/${path}:1: ${text.lines} lines; a file has at most ${limits.fileLines}: split it by idea`]
}

function checkImports(file: SourceFile): Violation[] {
  const rank = rankOf(file.path)
  if (rank === undefined) return [`src/${file.path}:1: the folder ${file.folder}/ has no rank`]
  return file.imports.flatMap(({ specifier, line, target, bare }) => {
    const why =
      target === undefined ? packageProblem(file, specifier) : bare ? SIDE_EFFECT : importProblem(file, rank, target)
    return why === undefined ? [] : [`src/${file.path}:${line}: imports ${specifier}: ${why}`]
  })
}

const SIDE_EFFECT = 'an import for its side effects; files have none'

function importProblem(file: SourceFile, rank: number, target: string): string | undefined {
  if (target.startsWith('..')) return 'lies outside src/'
  if (target.endsWith('.test.ts')) return 'a test is imported by nobody'
  const folder = folderOf(target)
  const targetRank = rankOf(target)
  if (targetRank === undefined) return `the folder ${folder}/ has no rank`
  if (folder === '') return 'src/index.ts is for users of the library'
  if (folder === file.folder) return undefined
  if (targetRank >= rank) {
    return `${folder}/ has rank ${targetRank}, and ${file.folder || 'index.ts'} (rank ${rank}) may only see lower ranks`
  }
  const owners = partFolders[folder]
  const isOwner = owners?.some((owner) => owner === file.path || owner === file.folder) ?? true
  if (isOwner || file.path === 'index.ts' || file.folder === 'testing') return undefined
  return `only ${owners?.join(', ')}, index.ts, testing/ and tests name the parts in ${folder}/`
}

function packageProblem(file: SourceFile, specifier: string): string | undefined {
  for (const { name, onlyIn, notIn, except } of packages) {
    if (!name.test(specifier) || except?.test(file.path)) continue
    const isIn = (place: string) => place === file.folder || place === file.path
    if (onlyIn !== undefined && !onlyIn.some(isIn)) return `only ${onlyIn.join(', ')} may use it`
    if (notIn?.some(isIn)) return `${file.folder}/ does without it`
  }
  return undefined
}

function checkContent(file: SourceFile): Violation[] {
  const found: Violation[] = []
  for (const { what, pattern, allowedIn, onlyIn } of forbidden) {
    if (allowedIn?.includes(file.folder) || (onlyIn !== undefined && !onlyIn.includes(file.folder))) continue
    for (const { index } of file.text.bare.matchAll(pattern)) {
      found.push(`src/${file.path}:${lineAt(file.raw, index)}: ${what} has no place here`)
    }
  }
  for (const { index } of file.raw.matchAll(/@ts-(?:ignore|nocheck|expect-error)|biome-ignore \S*noExplicitAny/g)) {
    found.push(`src/${file.path}:${lineAt(file.raw, index)}: a check is switched off`)
  }
  return found
}

function checkEngine(files: readonly SourceFile[]): Violation[] {
  const engine = files.filter(({ folder }) => folder === 'engine')
  const lines = codeLines(engine)
  const path = codeLines(files.filter((file) => bytePath.includes(file.path)))
  return [
    ...(engine.length > limits.engineFiles
      ? [`src/engine/: ${engine.length} files; at most ${limits.engineFiles}`]
      : []),
    ...(lines > limits.engineCodeLines
      ? [`src/engine/: ${lines} lines of code; at most ${limits.engineCodeLines}`]
      : []),
    ...(path > limits.bytePathCodeLines
      ? [`${bytePath.join(', ')}: ${path} lines of code; at most ${limits.bytePathCodeLines} for the path of a byte`]
      : []),
  ]
}

function codeLines(files: readonly SourceFile[]): number {
  return files.reduce((sum, { text }) => sum + text.codeLines, 0)
}

/** Each cycle once, told by the files in it. */
function findCycles(files: readonly SourceFile[]): Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const cycles: Violation[] = []
  const visit = (file: SourceFile, trail: readonly string[]): void => {
    const start = trail.indexOf(file.path)
    if (start !== -1) {
      const members = [...trail.slice(start), file.path].map((path) => `src/${path}`)
      cycles.push(`src/${file.path}:1: a cycle of imports: ${members.join(' → ')}`)
      return
    }
    if (done.has(file.path)) return
    for (const { target } of file.imports) {
      const next = target === undefined ? undefined : byPath.get(target)
      if (next !== undefined) visit(next, [...trail, file.path])
    }
    done.add(file.path)
  }
  for (const file of files) visit(file, [])
  return cycles
}

function findSources(src: string): SourceFile[] {
  if (!existsSync(src)) return []
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map((path) => path.split(sep).join('/'))
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => {
      const raw = readFileSync(join(src, path), 'utf8')
      const text = readSource(raw)
      return { path, folder: folderOf(path), raw, text, imports: findImports(path, text) }
    })
}

/**
 * Imports and re-exports of values and types, `import()` of values and types, and files named by
 * `new URL('./x.ts', import.meta.url)`, which is how a worker thread is started.
 */
function findImports(path: string, { code, bare }: SourceText): Import[] {
  const patterns = [
    /(?<=^|[;\s])(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"\n]+)['"]/g,
    /(?<=^|[;\s])import\s*['"]([^'"\n]+)['"]/g,
    /\bimport\s*\(\s*['"`]([^'"`\n]+)['"`]/g,
    /\bnew\s+URL\s*\(\s*['"](\.[^'"\n]+\.[jt]s)['"]\s*,\s*import\.meta/g,
  ]
  return patterns.flatMap((pattern, kind) =>
    [...code.matchAll(pattern)]
      // What looks like an import inside a string is blank in the bare text.
      .filter(({ index }) => bare.slice(index, index + 3) === code.slice(index, index + 3))
      .map((match) => {
        const specifier = match[1]!
        const isRelative = specifier.startsWith('.')
        const target = isRelative
          ? normalize(join(dirname(path), specifier))
              .split(sep)
              .join('/')
          : undefined
        const line = lineAt(code, match.index + match[0].length)
        return { specifier, line, target, bare: kind === 1 && isRelative }
      }),
  )
}

function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : ''
}

/** `src/index.ts` is just below rank 5, so that it may name what the library is made of, and nobody may name it. */
function rankOf(path: string): number | undefined {
  const folder = folderOf(path)
  if (folder === '') return path === 'index.ts' ? 4.9 : undefined
  return ranks[folder]
}

if (import.meta.main) {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..')
  const violations = checkLayers(join(root, 'src'))
  for (const violation of violations) process.stdout.write(`${violation}\n`)
  process.stdout.write(`${relative(process.cwd(), root) || '.'}: ${violations.length} broken rules\n`)
  if (violations.length > 0) process.exitCode = 1
}
