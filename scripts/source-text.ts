/** A source file with parts of it blanked out. Line ends stay, so that an index is the same place in all of them. */
export interface SourceText {
  readonly lines: number
  /** Lines that are neither blank nor only a comment. */
  readonly codeLines: number
  /** Without comments. */
  readonly code: string
  /** Without comments and without what stands inside strings, templates and patterns. */
  readonly bare: string
}

/** Reads TypeScript far enough to tell code from comments, strings, templates and patterns. */
export function readSource(text: string): SourceText {
  const code = text.split('')
  const bare = text.split('')
  /** For each template that is open: how many braces are open inside its present `${`. */
  const templates: number[] = []
  let i = 0
  while (i < text.length) {
    const char = text[i]!
    const end = tokenEnd(text, i)
    if (end !== undefined && char === '/' && (text[i + 1] === '/' || text[i + 1] === '*')) {
      blank(code, i, end)
      blank(bare, i, end)
      i = end
    } else if (end !== undefined) {
      blank(bare, i + 1, end - 1)
      i = end
    } else if (char === '`' || (char === '}' && templates.at(-1) === 0)) {
      if (char === '}') templates.pop()
      const stop = templateEnd(text, i + 1)
      blank(bare, i + 1, stop.index)
      if (stop.opens) templates.push(0)
      i = stop.index + (stop.opens ? 2 : 1)
    } else {
      if (templates.length > 0 && char === '{') templates.push(templates.pop()! + 1)
      if (templates.length > 0 && char === '}') templates.push(templates.pop()! - 1)
      i++
    }
  }
  const joined = code.join('')
  const lines = text.endsWith('\n') ? text.split('\n').length - 1 : text.split('\n').length
  return {
    lines,
    codeLines: joined.split('\n').filter((line) => line.trim() !== '').length,
    code: joined,
    bare: bare.join(''),
  }
}

/** The number of the line in which an index lies, from 1. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

/** Where the comment, string or pattern that begins here ends; undefined when none does. */
function tokenEnd(text: string, at: number): number | undefined {
  const char = text[at]
  if (char === "'" || char === '"') return stringEnd(text, at, char)
  if (char !== '/') return undefined
  if (text[at + 1] === '/') return indexOrEnd(text, '\n', at)
  if (text[at + 1] === '*') return Math.min(indexOrEnd(text, '*/', at + 2) + 2, text.length)
  return startsPattern(text, at) ? patternEnd(text, at) : undefined
}

function stringEnd(text: string, at: number, quote: string): number {
  let i = at + 1
  while (i < text.length && text[i] !== quote && text[i] !== '\n') i += text[i] === '\\' ? 2 : 1
  return Math.min(i + 1, text.length)
}

function templateEnd(text: string, from: number): { index: number; opens: boolean } {
  let i = from
  while (i < text.length) {
    if (text[i] === '`') return { index: i, opens: false }
    if (text[i] === '$' && text[i + 1] === '{') return { index: i, opens: true }
    i += text[i] === '\\' ? 2 : 1
  }
  return { index: text.length, opens: false }
}

/** A slash begins a pattern where a value may begin, and divides behind a value. */
function startsPattern(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - 40), at).trimEnd()
  return before === '' || /[=([{,;:!&|?+\-*%<>~^}]$/.test(before) || /\b(?:return|typeof|case|in|of|void)$/.test(before)
}

function patternEnd(text: string, at: number): number {
  let inClass = false
  let i = at + 1
  while (i < text.length && text[i] !== '\n' && (inClass || text[i] !== '/')) {
    if (text[i] === '[') inClass = true
    if (text[i] === ']') inClass = false
    i += text[i] === '\\' ? 2 : 1
  }
  return Math.min(i + 1, text.length)
}

function indexOrEnd(text: string, searched: string, from: number): number {
  const index = text.indexOf(searched, from)
  return index === -1 ? text.length : index
}

function blank(characters: string[], from: number, to: number): void {
  for (let i = from; i < to; i++) if (characters[i] !== '\n') characters[i] = ' '
}
