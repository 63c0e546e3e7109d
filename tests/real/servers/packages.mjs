// Packages of target/real, for scripts that live elsewhere.
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const home = process.env.MCPROXY_REAL ?? fileURLToPath(new URL('../../../target/real', import.meta.url));
const require = createRequire(`${home}/packages.mjs`);

/** The exports of a package, or of one of its parts. */
export const load = path => import(pathToFileURL(require.resolve(path)));
