// Reads SQL statements as a JSON array on standard input and writes, for each, what dt-sql-parser's grammar of Trino
// (ANTLR) has against it: a JSON array of messages, null where it accepts. Argument: the folder of its node_modules.
import { createRequire, register } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

// The package imports its own modules without file endings, as bundlers resolve them.
const endings = `export async function resolve(name, context, next) {
  for (const ending of ['', '.js', '/index.js']) {
    try { return await next(name + ending, context); } catch (error) { if (ending === '/index.js') throw error; }
  }
}`;
register(`data:text/javascript,${encodeURIComponent(endings)}`);

const folder = process.argv[2];
const path = createRequire(`${folder}/`).resolve('dt-sql-parser/dist/parser/trino/index.js');
const { TrinoSQL } = await import(pathToFileURL(path));
const parser = new TrinoSQL();
const complaints = JSON.parse(readFileSync(0, 'utf8')).map((statement) => {
  const errors = parser.validate(statement);
  return errors.length ? `line ${errors[0].startLine}: ${errors[0].message}` : null;
});
process.stdout.write(JSON.stringify(complaints));
