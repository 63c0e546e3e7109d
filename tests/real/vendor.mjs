// Writes the libraries of the page (src/gateway/ui/vendor/libraries.js) from the packages that are pinned here:
//
//   node tests/real/vendor.mjs > src/gateway/ui/vendor/libraries.js
//
// What the page does not use is left out, and so are the validator's formats, which would be an eighth of it all: the page has
// the few that matter (src/gateway/ui/app/form/schema.js). A test holds the file to this.
import { createRequire } from 'node:module';

const home = process.env.MCPROXY_REAL ?? new URL('../../target/real', import.meta.url).pathname;
const { build } = createRequire(`${home}/node_modules/`)('esbuild');

const contents = `
export { Fragment, h, render } from 'preact';
export { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
export { batch, computed, effect, signal } from '@preact/signals';
export { default as htm } from 'htm';
export { dereference, format, validate } from '@cfworker/json-schema';
`;

const withoutFormats = {
  name: 'without-formats',
  setup(build) {
    build.onLoad({ filter: /json-schema\/dist\/esm\/format\.js$/ }, () => ({ contents: 'export const format = Object.create(null);' }));
  },
};

const built = await build({
  stdin: { contents, resolveDir: home },
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  plugins: [withoutFormats],
  write: false,
});
process.stdout.write(built.outputFiles[0].text);
