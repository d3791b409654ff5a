// Runs every *.test.mjs beside this file, one after the other, in one process and on one scene. `cargo xtask browser` starts it.
import { readdirSync } from 'node:fs';

const here = new URL('.', import.meta.url);
for (const file of readdirSync(here).filter((name) => name.endsWith('.test.mjs')).sort()) await import(new URL(file, here));
