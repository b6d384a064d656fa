import { type Document, isCollection, isMap, isScalar, type Pair, Scalar, visit } from 'yaml'
import type { MistakeCode } from './problems.ts'
import { cure, HALF_EXPRESSION, lineOf, type YamlFinding } from './yaml-text.ts'

/**
 * Finds what is valid YAML and yet not what anybody means: an expression whose `!` became a tag, whose `#` began a
 * comment, whose `? :` became a mapping.
 */
export function findYamlTraps(document: Document, text: string): YamlFinding[] {
  const found: YamlFinding[] = []
  const trap = (code: MistakeCode, offset: number, message: string, hint: string, derails = false) => {
    found.push({ code, offset, message, hint, structural: false, derails })
  }
  visit(document, {
    Node(_key, node, ancestors) {
      const from = node.range?.[0] ?? 0
      const { tag, anchor } = node as { tag?: string; anchor?: string }
      if (tag !== undefined && !tag.startsWith('tag:yaml.org,2002:')) {
        const at = tagOffset(document, text, tag, from)
        trap(
          'YAML_TAG',
          at,
          'an unquoted ! begins a YAML tag, and the word behind it is lost',
          cure(text, at, ancestors),
        )
      }
      if (anchor !== undefined && (isEmpty(node) || !/^[A-Za-z]\w*$/.test(anchor))) {
        const at = text.lastIndexOf(`&${anchor}`, from)
        trap(
          'YAML_ANCHOR',
          at,
          'an unquoted & begins a YAML anchor, and the word behind it is lost',
          cure(text, at, ancestors),
        )
      }
    },
  })
  visit(document, {
    Alias(_key, alias, ancestors) {
      if (alias.resolve(document) !== undefined) return
      const at = alias.range?.[0] ?? 0
      const message = 'an unquoted * begins a YAML alias, and no anchor has this name'
      trap('YAML_ANCHOR', at, message, cure(text, at, ancestors))
    },
    Scalar(_key, scalar, ancestors) {
      const [from, to] = scalar.range ?? [0, 0]
      if (scalar.type !== Scalar.PLAIN) return
      const open = openEnd(text.slice(from, to))
      if (isInFlow(ancestors) && cutInFlow(text, to, open)) {
        trap(
          'YAML_NEEDS_QUOTES',
          from,
          `within [ ] and { } an unquoted text ends at ${text[to]}`,
          cure(text, from, ancestors),
          true,
        )
      }
      if (open === undefined || !/^[ \t]+#/.test(text.slice(to))) return
      trap(
        'YAML_COMMENT',
        from,
        `the # begins a comment here, and the text before it ends ${open}`,
        cure(text, from, ancestors, true),
      )
    },
    Map(_key, map) {
      const seen = new Map<unknown, number>()
      for (const { key } of map.items) {
        if (!isScalar(key)) continue
        const at = key.range?.[0] ?? 0
        const first = seen.get(key.value)
        seen.set(key.value, first ?? at)
        if (first === undefined) continue
        const message = `the key ${String(key.value)} stands twice in this mapping; first in line ${lineOf(text, first)}`
        trap('YAML_DUPLICATE_KEY', at, message, 'keep one of them')
      }
    },
    Pair(_key, pair, ancestors) {
      const half = halfExpression(pair, text)
      if (half !== undefined) trap('YAML_HALF_EXPRESSION', half, HALF_EXPRESSION, cure(text, half, ancestors))
      const alone = half === undefined ? keyWithoutValue(pair, text, ancestors.at(-1)) : undefined
      if (alone === undefined) return
      const message = `{ } makes a mapping here, and ${alone.source} a key without a value`
      const hint = `write ${alone.source} for an expression, or "\${${alone.source}}" for a text`
      trap('YAML_HALF_EXPRESSION', alone.offset, message, hint)
    },
  })
  return found
}

/** True when a bracket or comma has cut an unquoted text: `{ a: msg.list[0], b: max(1, 2), c: ${msg.x} }`. */
function cutInFlow(text: string, end: number, open: string | undefined): boolean {
  return /[[{]/.test(text[end] ?? '') || (open?.startsWith('within') === true && /[,\]}]/.test(text[end] ?? ''))
}

function isInFlow(ancestors: readonly unknown[]): boolean {
  return ancestors.some((node) => isCollection(node) && node.flow === true)
}

/** Where the half of an expression stands that became a key: `a ? b` or `? a`. */
function halfExpression({ key, srcToken }: Pair, text: string): number | undefined {
  if (!isScalar(key) || key.type !== Scalar.PLAIN || key.range == null) return undefined
  const [from, to] = key.range
  const explicit = srcToken?.start.find(({ type }) => type === 'explicit-key-ind')
  if (explicit !== undefined && 'offset' in explicit) return explicit.offset
  return / \?(?: |$)/.test(text.slice(from, to)) ? from : undefined
}

/** An expression in braces, which is a mapping for YAML: `{ msg.id }`. */
function keyWithoutValue({ key, value }: Pair, text: string, parent: unknown) {
  if (!isScalar(key) || key.type !== Scalar.PLAIN || key.range == null) return undefined
  if (!isMap(parent) || parent.flow !== true || !(value === null || isEmpty(value))) return undefined
  const [offset, to] = key.range
  const source = text.slice(offset, to)
  return !/^\s*:/.test(text.slice(to)) && /[.()[\]+*/<>=!&|]/.test(source) ? { offset, source } : undefined
}

const BRACKETS = [
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
] as const

/** How a text ends that a comment has cut; undefined when it looks whole. */
function openEnd(source: string): string | undefined {
  const text = source.replaceAll(/(?<=\w)'(?=\w)/g, '')
  for (const quote of ['"', "'"]) {
    if (text.split(quote).length % 2 === 0) return `within an open ${quote}`
  }
  const code = text.replaceAll(/"[^"]*"|'[^']*'/g, '')
  for (const [open, close] of BRACKETS) {
    if (code.split(open).length > code.split(close).length) return `within an open ${open}`
  }
  return /(?:[=!<>]=|&&|\|\||[<>+*/%?])$/.test(code) ? 'with an operator' : undefined
}

function isEmpty(node: unknown): boolean {
  return isScalar(node) && node.type === Scalar.PLAIN && (node.source ?? '') === ''
}

function tagOffset(document: Document, text: string, tag: string, from: number): number {
  const reported = [...document.warnings, ...document.errors].find(
    ({ code, pos }) => code === 'TAG_RESOLVE_FAILED' && pos[0] <= from && text.startsWith(tag, pos[0]),
  )
  return reported?.pos[0] ?? text.lastIndexOf(tag, from)
}
