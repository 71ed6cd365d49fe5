// The page of a case, or of a framework's runs with faults: shows one of its runs. The address says which, and what of
// it: #framework.trial/call-3
// What models, tools and frameworks said is only ever set as text: nothing here makes markup of a string.
"use strict";
document.addEventListener("DOMContentLoaded", async function () {
  if (!canUnpack("runs")) return;
  for (const mark of document.querySelectorAll("#across a.mark[aria-label]")) mark.title = mark.getAttribute("aria-label");
  const sources = [...document.querySelectorAll("script.runs")].map((one) => unpacked(one.textContent));
  const common = window.sharedByPages ? await unpacked(window.sharedByPages) : [];
  const parts = await Promise.all(sources);
  const runs = new Map();
  for (const part of parts) {
    for (const run of part.runs) if (!runs.has(run.name)) runs.set(run.name, { ...run, shared: part.shared });
  }
  const byId = (id) => document.getElementById(id);
  const heading = byId("case"), head = byId("run"), shown = byId("shown"), across = byId("across");
  const caseTitle = document.title, code = byId("code");
  const neighbours = [...document.querySelectorAll("a.neighbour")].map((link) => [link, link.getAttribute("href")]);
  const [others = null, trials = null] = document.querySelectorAll(".run-only"); // on the page of a case
  let current = null;

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) if (value !== null) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null));
    return made;
  }
  const paragraph = (kind, ...children) => element("p", { class: kind }, ...children);
  const verdict = (run) => element("span", { class: `verdict ${run.passed ? "passed" : "failed"}` }, run.passed ? "passed" : "failed");

  // JSON as it was recorded, to the last digit: only blanks are put into it.
  function indented(compact) {
    let depth = 0, last = "", made = "";
    for (const [token] of compact.matchAll(/"(?:\\.|[^"\\])*"|[{}[\]:,]|[^{}[\]:,"]+/g)) {
      const opened = last === "{" || last === "[", closes = token === "}" || token === "]";
      if (closes) depth -= 1;
      if (closes ? !opened : opened || last === ",") made += `\n${"  ".repeat(depth)}`;
      if (token === "{" || token === "[") depth += 1;
      made += token === ":" ? ": " : token;
      last = token;
    }
    return made;
  }

  function reader(run) {
    const at = (place) => typeof run.shared[place] === "number" ? common[run.shared[place]] : run.shared[place];
    const text = function (value) {
      const found = typeof value === "number" ? at(value) : value;
      return typeof found === "string" ? found : indented(found.json);
    };
    return [at, text];
  }

  function timeline(run, scale_s) {
    const [, text] = reader(run), scale = 1000 / scale_s, part_s = run.wall_s / 5000; // as in packed.py
    const svg = function (name, attributes) {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      return made;
    };
    const lanes = ["model", "embeddings", "tools"].filter((lane) => run.steps.some((step) => step.lane === lane));
    const height = 26 * lanes.length + 4, words = `${run.steps.length} calls in ${run.wall}`;
    const drawn = svg("svg", { class: "timeline", viewBox: `0 0 1000 ${height}`, preserveAspectRatio: "none", height, role: "img", "aria-label": words });
    drawn.append(svg("rect", { class: "wall", x: 0, y: 0, width: scale * run.wall_s, height }));
    for (const step of run.steps) {
      const width = Math.max(scale * part_s * (step.to - step.from), 3), y = 26 * lanes.indexOf(step.lane) + 5;
      const bar = svg("rect", { class: step.lane + (step.failed ? " failed" : "") + (step.injected ? " injected" : ""), x: scale * part_s * step.from, y, width, height: 20 });
      const title = svg("title", {});
      title.textContent = `${step.injected ? "the fault: " : ""}${text(step.label)}, ${step.facts}`;
      bar.append(title);
      drawn.append(bar);
      if (step.injected) drawn.append(svg("rect", { class: "fault-mark", x: scale * part_s * step.from, y: y - 5, width, height: 4 }));
    }
    return drawn;
  }

  function view(run) {
    const [at, text] = reader(run);
    const address = (id) => `#${run.name}/${id}`;

    // A long text scrolls by itself, and so can be reached by keyboard.
    function block(kind, ...children) {
      const made = element("pre", { class: kind }, ...children);
      if (made.textContent.length > 3000) {
        made.classList.add("long");
        made.tabIndex = 0;
      }
      return made;
    }
    const spans = (all) => all.map(([kind, of]) =>
      kind === "added" ? element("mark", null, text(of)) : kind === "spec" ? element("span", { class: "spec" }, text(of)) : text(of));
    const calls = (all) => (all || []).map(([name, of]) =>
      element("div", { class: "asked" }, element("code", { class: "call-name" }, name), block(null, text(of))));

    function facts() {
      const rows = [["Answer", element("dd", { class: "said" }, text(run.answer) || "none")]];
      if (run.ended) rows.push(["Ended by", element("dd", { class: "said" }, text(run.ended))]);
      const reasons = run.reasons.map((reason) => element("li", null, text(reason)));
      const list = reasons.length ? element("ul", { class: run.passed ? "reasons" : "reasons failed" }, ...reasons) : null;
      rows.push(["Grade", element("dd", null, verdict(run), ` ${run.score}`, list)]);
      return element("dl", { class: "facts-list" }, ...rows.map(([label, said]) => element("div", null, element("dt", null, label), said)));
    }

    const seen = new Set();
    function message([number, place]) {
      const { role, spans: parts, asked: wanted } = at(place), name = `${number} · ${role}`;
      if (seen.has(number)) {
        const words = parts.map(([, of]) => text(of)).join("").split(/\s+/).filter(Boolean).join(" ").slice(0, 80);
        const first = words || (wanted || []).map(([tool]) => tool).join(", ");
        return paragraph("before", element("a", { href: address(`message-${number}`) }, name), ` ${first}`);
      }
      seen.add(number);
      const added = parts.some(([kind]) => kind === "added");
      return element("div", { class: added ? "message has-added" : "message", id: `message-${number}` },
        paragraph("role", name), parts.length ? block(null, ...spans(parts)) : null, ...calls(wanted));
    }

    function offered(step) {
      if (step.tools === undefined) return null;
      const tools = at(step.tools).map(at), number = `${tools.length} tool${tools.length > 1 ? "s" : ""} offered`;
      if (step.as) return paragraph("before", `${number}, `, element("a", { href: address(`call-${step.as}`) }, `as in call ${step.as}`));
      const names = tools.flatMap((tool, index) => [index ? ", " : "", element("code", { class: tool.added ? "added" : null }, tool.name)]);
      return element("details", { class: "offered" }, element("summary", null, `${number}: `, ...names), ...tools.map((tool) =>
        element("div", { class: "tool" }, element("h4", null, element("code", null, tool.name), " ", element("small", null, tool.whose)),
          tool.spans.length ? block(null, ...spans(tool.spans)) : null, element("pre", { class: "schema" }, text(tool.schema)))));
    }

    function differences(step) {
      if (step.differ === undefined) return null;
      const [summary, all] = at(step.differ);
      return element("details", { class: "differences" }, element("summary", null, summary), element("ul", null, ...all.map(function (place) {
        const [name, tokens, example] = at(place);
        return element("li", null, element("strong", null, name), `${tokens}: `, element("span", { class: "said" }, example));
      })));
    }

    function call(step, index) {
      const label = text(step.label), number = index + 1;
      const made = element("li", { id: `call-${number}`, class: `call ${step.lane}${step.failed ? " failed" : ""}` },
        element("h3", null, step.injected ? element("strong", { class: "the-fault" }, "the fault") : null, label !== step.lane ? element("span", { class: "lane" }, step.lane) : null, ` ${label} `, element("small", null, step.facts)));
      if (step.lane === "tools") {
        const one = (title, of) => element("div", null, element("h4", null, title), block(null, text(of)));
        made.append(element("div", { class: "two" }, one("Arguments", step.arguments), one(step.what, step.result)));
      } else if (step.lane === "embeddings") {
        made.append(paragraph("aside", step.tokens), element("details", null, element("summary", null, "what was embedded"), block(null, text(step.embedded))));
      } else {
        const nothing = step.reply === undefined && !step.asked ? paragraph("aside", "nothing") : null;
        made.append(...[
          paragraph("aside", step.tokens), element("div", { class: "messages" }, ...step.messages.map(message)),
          offered(step), differences(step),
          element("details", { class: "parameters" }, element("summary", null, "parameters of the request"), element("pre", null, text(step.parameters))),
          element("div", { class: "reply" }, paragraph("role", "reply"), step.reply === undefined ? null : block(null, text(step.reply)), ...calls(step.asked), nothing),
        ].filter((part) => part !== null));
      }
      return made;
    }

    const key = (kind) => element("span", { class: `key ${kind}` }, kind);
    const conversation = !run.steps.length ? [paragraph("empty", "The run made no call.")] : [
      timeline(run, run.wall_s),
      element("p", { class: "legend" }, key("model"), " ", key("embeddings"), " ", key("tools"), " ", element("span", { class: "aside" }, `0 to ${run.wall}`)),
      paragraph("aside", "Below, the conversation as it was sent. ", element("span", { class: "spec" }, "Plain: the task's own words"), ". ",
        element("mark", null, "Marked: put there by the framework"), `. Messages that were sent before are named by their number. ${text(run.prices)}`),
      element("ol", { class: "steps-list" }, ...run.steps.map(call)),
    ];
    return [
      facts(),
      element("dl", { class: "tiles" }, ...run.facts.map(([label, value]) => element("div", null, element("dt", null, label), element("dd", null, value)))),
      ...(run.parts ? [paragraph("aside", run.parts)] : []),
      element("h2", null, "Timeline"),
      ...conversation,
      element("details", null, element("summary", null, "Recorded with"), element("dl", { class: "facts-list" },
        ...at(run.setup).map(([label, value]) => element("div", null, element("dt", null, label), element("dd", null, value))))),
    ];
  }

  const link = (run, words, here) => element("a", { href: `#${run.name}`, "aria-current": here ? "page" : null }, words);

  // On the page of a case: links to its other runs, and to the code. Gives the trials of the run.
  function around(run) {
    const every = [...runs.values()], same = run ? every.filter((one) => one.framework === run.framework) : [];
    others.hidden = run === null;
    trials.hidden = same.length < 2;
    code.hidden = run === null;
    for (const list of [others, trials]) while (list.children.length > 1) list.lastChild.remove();
    if (run === null) return same;
    code.setAttribute("href", `${code.getAttribute("href").split("#")[0]}#baseline,${run.framework}/${code.dataset.task}`);
    const firsts = every.filter((one) => every.find((other) => other.framework === one.framework) === one);
    firsts.sort((one, other) => (other.framework === "baseline") - (one.framework === "baseline"));
    for (const one of firsts) others.append(" ", link(one, one.title, one.framework === run.framework));
    for (const one of same) trials.append(" ", link(one, String(one.trial), one === run));
    return same;
  }

  function show(run) {
    current = run;
    for (const part of [heading, across]) part.hidden = run !== null;
    head.hidden = run === null;
    for (const [one, page] of neighbours) {
      one.setAttribute("href", run ? `${page}#${"same" in one.dataset ? run.name : `${run.framework}.1`}` : page);
    }
    shown.replaceChildren();
    const same = others ? around(run) : [];
    if (run === null) {
      document.title = caseTitle;
      return;
    }
    const about = run.about || heading.firstChild.textContent.trim();
    const words = `${run.version}, ${about}${same.length > 1 ? `, trial ${run.trial}` : ""}`;
    head.replaceChildren(element("h1", null, `${run.title} `, element("small", null, words), " ", verdict(run)));
    shown.replaceChildren(...view(run));
    document.title = `${run.title}, ${caseTitle}`;
  }

  function fromAddress() {
    const [name, within] = location.hash.slice(1).split("/").map(decodeURIComponent);
    const run = runs.get(name) || null;
    if (run !== current) {
      show(run);
      scrollTo(0, 0);
    }
    const target = byId(run ? within : name);
    if (target) target.scrollIntoView();
  }

  const longest = Math.max(...[...runs.values()].map((run) => run.wall_s));
  for (const steps of document.querySelectorAll(".across > div > .steps")) {
    const name = steps.closest("article").querySelector("h2 a").getAttribute("href").slice(1);
    steps.before(timeline(runs.get(name), longest));
  }
  addEventListener("hashchange", fromAddress);
  fromAddress();
});
