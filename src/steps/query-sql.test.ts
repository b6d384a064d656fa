import { expect, test } from 'vitest'
import { sqlProblem } from './query-sql.ts'

test.each([
  ['SELECT name FROM parts WHERE id = ?', 1],
  ['SELECT \'?\', "a?", `?`, name -- ? and ;\n FROM parts /* ?; */ WHERE id = ?;', 1],
  ["with x as (select 'it''s ?') select * from x", 0],
  ['VALUES (?, ?)', 2],
])('takes %j', (sql, count) => {
  expect(sqlProblem(sql, count, 'sqlite')).toBeUndefined()
})

test.each([
  ['SELECT name FROM parts WHERE id = $1 AND size > $2', 2],
  ['SELECT $2::int + $1', 2],
  [
    "SELECT '$1', E'\\'$1', \"a$1\", $$ $1; $$, $x$ $1 $x$, tag ? 'a' -- $1 and ;\n FROM parts /* $1; */ WHERE id = $1;",
    1,
  ],
  ['SELECT a$1 FROM t', 0],
  ["SELECT now()::date, '{1,2}'::int[]", 0],
])('takes %j for PostgreSQL', (sql, count) => {
  expect(sqlProblem(sql, count, 'postgres')).toBeUndefined()
})

test.each([
  ["SELECT * FROM t WHERE id = '${msg.id}'", 0, 'nothing is put into the text of a statement', 'write $1 there'],
  ['INSERT INTO t VALUES (1)', 0, 'a query begins with SELECT, WITH or VALUES', 'use a sink'],
  ['SELECT 1; DROP TABLE t', 0, 'there is more than one statement', 'a step for each'],
  ['SELECT * FROM t WHERE id = ?', 1, '? is no place for a parameter here', 'write $1 for each'],
  ['SELECT * FROM t WHERE id = :id', 1, ':id is no place for a parameter here', 'write $1 for each'],
  ['SELECT $1', 0, 'the statement has 1 parameter, and params has 0 expressions', 'one expression'],
  ["SELECT '$1'", 1, 'the statement has 0 parameters, and params has 1 expression', 'take the quotes away'],
  ['SELECT $1, $1', 2, 'the statement has 1 parameter, and params has 2 expressions', 'one expression'],
] as const)('refuses %j for PostgreSQL', (sql, params, message, hint) => {
  const problem = sqlProblem(sql, params, 'postgres')
  expect(problem?.message).toBe(message)
  expect(problem?.hint).toContain(hint)
})

test.each([
  ["SELECT * FROM t WHERE id = '${msg.id}'", 0, 'nothing is put into the text of a statement', 'write ? there'],
  ['DELETE FROM t', 0, 'a query begins with SELECT, WITH or VALUES', 'use a sink'],
  ['-- SELECT\nPRAGMA x', 0, 'a query begins with SELECT, WITH or VALUES', 'use a sink'],
  ['SELECT 1; DROP TABLE t', 0, 'there is more than one statement', 'a step for each'],
  ['SELECT ?', 0, 'the statement has 1 parameter, and params has 0 expressions', 'one expression'],
  ['SELECT 1', 1, 'the statement has 0 parameters, and params has 1 expression', 'one expression'],
  ["SELECT '?'", 1, 'the statement has 0 parameters, and params has 1 expression', 'take the quotes away'],
  ['SELECT ?1', 1, '?1 is no place for a parameter here', 'write ? for each'],
  ['SELECT * FROM t WHERE a = :id', 1, ':id is no place for a parameter here', 'write ? for each'],
] as const)('refuses %j', (sql, params, message, hint) => {
  const problem = sqlProblem(sql, params, 'sqlite')
  expect(problem?.message).toBe(message)
  expect(problem?.hint).toContain(hint)
})
