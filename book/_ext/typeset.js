// Set formulas with MathJax. Standard input and output are JSON: see typeset.py.
const [folder, fontURL] = process.argv.slice(2);
const formulas = JSON.parse(require("fs").readFileSync(0, "utf8"));

// What a page knows only in the browser; lengths come out in em, so that it cancels.
const metrics = { em: 16, ex: 8, containerWidth: 80 * 16 };

async function main() {
  const MathJax = await require(`${folder}/node-main.js`).init({
    loader: {
      paths: { mathjax: folder },
      load: ["input/tex", "output/chtml", "adaptors/liteDOM", "a11y/assistive-mml"],
      versionWarnings: false,
    },
    options: { enableAssistiveMml: true },
    chtml: { fontURL, matchFontHeight: false, adaptiveCSS: false },
    // By default a mistake is set in red, and all goes on.
    tex: {
      packages: { "[-]": ["noundefined", "noerrors"] },
      formatError: (_, error) => { throw error; },
    },
  });
  const { adaptor } = MathJax.startup;
  const html = [];
  for (const [tex, display] of formulas) {
    const node = await MathJax.tex2chtmlPromise(tex, { display, ...metrics }).catch((error) => {
      throw new Error(`${error.message}: ${tex}`);
    });
    html.push(adaptor.outerHTML(node));
  }
  const css = adaptor.textContent(MathJax.chtmlStylesheet());
  process.stdout.write(JSON.stringify({ html, css }));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
