// The page's behaviour: search, filter, sort, drill down, export. It reads the JSON beside it and asks
// for nothing else; every name is set as text. Figures are added up for totals, never computed anew.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const number = new Intl.NumberFormat("en");
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const PAGE_ROWS = 50;
  const TYPES = { monthly: "Monthly", term: "Term", trial: "Trial", none: "No licence" };
  const OWNERS = { partner: "Partner", customer: "Customer" };
  const REASONS = {
    trial: "trial licence", term: "term licence", unlicensed: "no licence", none: "no licence",
    outside_flex: "partner outside the Flex programme", legacy_programme: "partner of a legacy programme",
    excluded_territory: "excluded territory", partner_resale: "partner buys from another partner",
    ha_member: "counted through another member of its cluster", not_sfos: "operating system is not SFOS",
    replaced_hardware: "its licence counts for the hardware that took its place",
    unknown_product: "unknown product", monthly_not_billed: "monthly licence that is not billed here",
  };
  const asOf = `${data.state === "final" ? "Final" : "Provisional"}, as of ${data.as_of}`;

  // ---- data -------------------------------------------------------------------------------------

  // Control characters are shown as what they are: no text.
  const shown = (text) => String(text).replace(/[\u0000-\u001f\u007f-\u009f]/g, "\ufffd");

  // Letters without their marks; and those that Unicode does not take apart.
  const LETTERS = { "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h" };
  const plain = (text) =>
    text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[ßøłđðþæœıħ]/g, (letter) => LETTERS[letter]);

  const products = data.products.map(([code, name, unit]) => ({ code, name: shown(name), rawName: name, unit }));
  const partners = data.partners.map(([id, name]) => ({ id, name: shown(name), rawName: name }));

  const digits = (text) => {
    if (!text) return new Array(data.dates).fill(0);
    const width = text.length / data.dates;
    return Array.from({ length: data.dates }, (_, at) => [...text.slice(at * width, (at + 1) * width)]
      .reduce((value, digit) => value * data.digits.length + data.digits.indexOf(digit), 0));
  };

  const date = (at) => {
    const day = new Date(`${data.starts_on}T00:00:00Z`);
    day.setUTCDate(day.getUTCDate() + at);
    return day.toISOString().slice(0, 10);
  };

  const customers = data.customers.map(([id, name, partner], at) => ({
    id, at, rawName: name, name: shown(name), partner: partners[partner], uses: [], byProduct: new Map(),
    active: 0, billed: 0, joined: null, left: null, toDate: null,
  }));

  for (const [customer, product, type, owner, licensed, active, billed, joined, left, toDate, notBilled, daily, seen, joiners, leavers] of data.uses) {
    const use = {
      customer: customers[customer], product: products[product], productAt: product, type: data.types[type], owner: data.owners[owner], licensed, active,
      billed, joined, left, toDate, notBilled, daily, seen: seen || [], joiners: joiners || [], leavers: leavers || [],
    };
    const one = use.customer;
    one.uses.push(use);
    one.byProduct.set(product, use);
    one.active += active;
    one.billed += billed;
    for (const name of ["joined", "left", "toDate"]) if (use[name] !== null) one[name] = (one[name] || 0) + use[name];
  }
  for (const one of customers) {
    const names = (words, values) => Object.keys(words).filter((word) => values.has(word)).map((word) => words[word]);
    one.types = new Set(one.uses.map((use) => use.type));
    one.owners = new Set(one.uses.map((use) => use.owner));
    one.type = names(TYPES, one.types).join(" + ");
    one.owner = names(OWNERS, one.owners).join(" + ");
    one.isChanged = one.uses.some((use) => use.joined || use.left);
    one.key = plain([one.rawName, one.id, data.is_partner ? "" : `${one.partner.rawName} ${one.partner.id}`].join("\n"));
  }
  const dailyOf = (uses) => {
    const sum = new Array(data.dates).fill(0);
    for (const use of uses) digits(use.daily).forEach((units, at) => { sum[at] += units; });
    return sum;
  };

  // ---- document ---------------------------------------------------------------------------------

  const element = (name, attributes = {}, ...children) => {
    const made = name.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4)) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null));
    return made;
  };
  const name = (text) => element("bdi", {}, text);
  const quiet = (...children) => element("span", { class: "quiet" }, ...children);

  // Units per date: a line over its area. The scale is the row's own.
  const sparkline = (daily, subject) => {
    const top = Math.max(...daily, 1);
    const step = daily.length > 1 ? 100 / (daily.length - 1) : 0;
    const points = daily.map((units, at) => `${(at * step).toFixed(1)} ${(22 - (20 * units) / top).toFixed(1)}`);
    const label = `${subject}, active units per date from ${date(0)} to ${date(daily.length - 1)}: ` +
      `at least ${Math.min(...daily)}, at most ${Math.max(...daily)}, on the last date ${daily[daily.length - 1]}`;
    return element("svg:svg", { class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", role: "img", "aria-label": label },
      element("svg:path", { class: "area", d: `M0 22L${points.join("L")}L100 22Z` }),
      element("svg:path", { d: `M${points.join("L")}` }));
  };

  const change = (joined, left) => {
    if (joined === null && left === null) return [quiet("not known")];
    if (!joined && !left) return [quiet("none")];
    return [
      joined ? element("span", { class: "joined" }, `+${number.format(joined)}`) : null,
      joined && left ? " " : null,
      left ? element("span", { class: "left" }, `\u2212${number.format(left)}`) : null,
    ];
  };

  const aside = (use) => {
    if (use.billed === use.active) return use.type === "monthly" ? null : TYPES[use.type].toLowerCase();
    if (use.billed) return `${number.format(use.billed)} billed`;
    return use.type === "monthly" ? "not billed" : TYPES[use.type].toLowerCase();
  };

  // ---- columns ----------------------------------------------------------------------------------

  const last = data.dates - 1;
  const columns = [
    { label: "Name and details", value: (one) => one.name, text: true, words: true },
    { label: "Type", value: (one) => one.type, text: true, words: true },
    { label: "Owner", value: (one) => one.owner, text: true, words: true },
    { label: `Per date, ${data.dates} days`, value: (one) => dailyOf(one.uses)[last], text: true },
    { label: "Since last month", value: (one) => (one.joined || 0) + (one.left || 0) },
    { label: "Active units", value: (one) => one.active },
    ...(data.uses.some((use) => use[9] !== null) ? [{ label: "Month to date", value: (one) => one.toDate || 0 }] : []),
    ...products.map((product, at) => ({
      label: product.name, product: at,
      value: (one) => (one.byProduct.has(at) ? one.byProduct.get(at).active : -1),
    })),
  ];
  const sorted = { column: columns[0], ascends: true };
  let found = customers;
  let start = 0;

  const sort = () => {
    const { column, ascends } = sorted;
    const values = new Map(found.map((one) => [one, column.value(one)]));
    const order = column.words
      ? (a, b) => collator.compare(values.get(a), values.get(b))
      : (a, b) => values.get(a) - values.get(b);
    found.sort((a, b) => (ascends ? order(a, b) : order(b, a)) || a.at - b.at);
  };

  // ---- table of customers -----------------------------------------------------------------------

  const head = element("tr", {}, ...columns.map((column) => {
    const button = element("button", { type: "button" }, name(column.label));
    const cell = element("th", { scope: "col", class: column.text ? "text" : null, "aria-sort": "none" }, button);
    column.cell = cell;
    button.addEventListener("click", () => {
      sorted.ascends = sorted.column === column ? !sorted.ascends : Boolean(column.words);
      sorted.column = column;
      start = 0;
      show();
    });
    return cell;
  }));
  const totals = element("tbody", { class: "totals" });
  const body = element("tbody");
  byId("customers").append(element("table", {},
    element("caption", { id: "caption" }, `Active units by customer and product. ${asOf}.`),
    element("thead", {}, head), totals, body));

  const cellOf = (use) => {
    if (!use) return element("td");
    const beside = aside(use);
    const label = `${number.format(use.active)} active${beside ? `, ${beside}` : ""}: ${use.product.name}, ${use.customer.name}`;
    const button = element("button", { type: "button", class: "number", "aria-label": label, "aria-haspopup": "dialog" }, number.format(use.active));
    button.addEventListener("click", () => detail(use));
    return element("td", {}, button, beside && element("small", {}, beside));
  };

  const rowOf = (one) => element("tr", {}, ...columns.map((column, at) => {
    if (column.product !== undefined) return cellOf(one.byProduct.get(column.product));
    if (column.label === "Month to date") return element("td", {}, one.toDate === null ? "" : number.format(one.toDate));
    return [
      () => element("th", { scope: "row" }, element("span", { class: "name" }, name(one.name)),
        quiet(name(one.id), ...(data.is_partner ? [] : [" \u00b7 ", name(one.partner.name)]))),
      () => element("td", { class: "text" }, one.type),
      () => element("td", { class: "text" }, one.owner || quiet("not known")),
      () => element("td", { class: "text" }, sparkline(dailyOf(one.uses), one.name)),
      () => element("td", { class: "change" }, ...change(one.joined, one.left)),
      () => element("td", {}, number.format(one.active), one.billed === one.active ? null : element("small", {}, `${number.format(one.billed)} billed`)),
    ][at]();
  }));

  const sum = (uses, figure) => uses.reduce((total, use) => total + (use[figure] || 0), 0);
  const totalRow = (label, figure) => {
    const uses = found.flatMap((one) => one.uses);
    const byProduct = products.map((_, at) => sum(uses.filter((use) => use.productAt === at), figure));
    return element("tr", {}, ...columns.map((column, at) => {
      if (at === 0) return element("th", { scope: "row" }, label);
      if (column.product !== undefined) return element("td", {}, number.format(byProduct[column.product]));
      if (column.label === "Month to date") return element("td", {}, figure === "active" ? number.format(sum(uses, "toDate")) : "");
      if (at === 3 && figure === "active") return element("td", { class: "text" }, sparkline(dailyOf(uses), label));
      if (at === 4 && figure === "active") {
        const known = uses.filter((use) => use.joined !== null);
        return element("td", { class: "change" }, ...(known.length ? change(sum(known, "joined"), sum(known, "left")) : change(null, null)));
      }
      return element("td", {}, at === 5 ? number.format(sum(uses, figure)) : "");
    }));
  };

  const show = (rows = PAGE_ROWS) => {
    sort();
    for (const column of columns) {
      column.cell.setAttribute("aria-sort", column !== sorted.column ? "none" : sorted.ascends ? "ascending" : "descending");
    }
    const isAll = found.length === customers.length;
    totals.replaceChildren(
      totalRow(isAll ? "Usage totals" : `Usage of ${number.format(found.length)} shown`, "active"),
      totalRow("Of these billed", "billed"));
    body.replaceChildren(...found.slice(start, start + rows).map(rowOf));
    byId("count").textContent = `${number.format(found.length)} of ${number.format(customers.length)} customers. ${asOf}.`;
    const end = Math.min(start + rows, found.length);
    byId("place").textContent = found.length ? `${number.format(start + 1)}\u2013${number.format(end)}` : "none";
    byId("previous").disabled = start === 0;
    byId("next").disabled = end >= found.length;
  };

  // ---- search and filters -----------------------------------------------------------------------

  const filters = document.querySelector(".filters");
  const choice = (id) => (byId(id) ? byId(id).value : "");
  const options = (id, choices) => byId(id) && byId(id).append(...choices.map(([value, label]) => element("option", { value }, label)));
  options("partner", partners.map((partner, at) => [at, partner.name]).sort((a, b) => collator.compare(a[1], b[1])));
  options("type", Object.entries(TYPES).filter(([type]) => customers.some((one) => one.types.has(type))));
  options("owner", Object.entries(OWNERS).filter(([owner]) => customers.some((one) => one.owners.has(owner))));
  options("product", products.map((product, at) => [at, product.name]));

  // Type and owner are asked of one use, and of the chosen product's if there is one.
  const fits = ({ words, partner, type, owner, product, isChanged }) => (one) =>
    words.every((word) => one.key.includes(word)) &&
    (partner === "" || one.partner === partners[partner]) &&
    one.uses.some((use) => (type === "" || use.type === type) && (owner === "" || use.owner === owner) &&
      (product === "" || use.productAt === Number(product)) && (!isChanged || use.joined || use.left));

  const filter = () => {
    const wanted = {
      words: plain(byId("search").value).split(/\s+/).filter(Boolean),
      partner: choice("partner"), type: choice("type"), owner: choice("owner"), product: choice("product"),
      isChanged: byId("changed").checked,
    };
    found = customers.filter(fits(wanted));
    start = 0;
    for (const card of document.querySelectorAll(".cards button")) {
      card.setAttribute("aria-pressed", String(card.dataset.owner === wanted.owner));
    }
    show();
    showBands();
  };

  document.querySelector(".cards").append(...[
    ["", "All managed customers", customers],
    ["partner", "Using partner-owned licences", customers.filter((one) => one.owners.has("partner"))],
    ["customer", "Using customer-owned licences", customers.filter((one) => one.owners.has("customer"))],
  ].map(([owner, label, of]) => {
    const card = element("button", { type: "button", "data-owner": owner, "aria-pressed": "false" },
      element("b", {}, number.format(of.length)), label, element("small", {}, asOf));
    card.addEventListener("click", () => {
      if (![...byId("owner").options].some((option) => option.value === owner)) options("owner", [[owner, OWNERS[owner]]]);
      byId("owner").value = owner;
      filter();
    });
    return card;
  }));

  byId("search").addEventListener("input", filter);
  filters.addEventListener("change", (event) => { if (event.target !== byId("search")) filter(); });
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(filter));
  const turn = (rows) => {
    start = Math.max(0, start + rows);
    show();
    byId("customers").scrollIntoView({ block: "nearest" });
  };
  byId("previous").addEventListener("click", () => turn(-PAGE_ROWS));
  byId("next").addEventListener("click", () => turn(PAGE_ROWS));
  // On paper there are no pages to turn to.
  let before = 0;
  addEventListener("beforeprint", () => { before = start; start = 0; show(found.length); showBands(); });
  addEventListener("afterprint", () => { start = before; show(); });

  // ---- what is behind a number ------------------------------------------------------------------

  const lines = data.lines.map(([partner, product, quantity, model, price, from, to, more, amount]) => (
    { partner: partners[partner], product: products[product], quantity, model, price, from, to, more, amount }));

  const band = (line) => `${number.format(line.from)}${line.to === null ? " and more" : `\u2013${number.format(line.to)}`}`;
  const toNext = (line) => (line.more === null ? "last band" : `${number.format(line.more)} more`);

  const more = (listed, all) => {
    if (listed >= all) return null;
    const which = listed
      ? `First ${number.format(listed)} of ${number.format(all)}; the rest are ${data.rest}.`
      : `A page of this size lists none of the ${number.format(all)}: they are ${data.rest}.`;
    return element("p", { class: "quiet" }, which);
  };

  const terms = (...pairs) => element("dl", {}, ...pairs.filter(Boolean).flatMap(([term, ...value]) => (
    [element("dt", {}, term), element("dd", {}, ...value)])));

  const listOf = (title, ids, figure) => {
    if (figure === null) return [];
    return [
      element("h3", {}, `${title}: ${number.format(figure)}`),
      ids.length ? element("ul", { class: "ids" }, ...ids.map((id) => element("li", {}, name(shown(id))))) : null,
      more(ids.length, figure),
    ];
  };

  const detail = (use) => {
    const { product, customer } = use;
    const daily = digits(use.daily);
    const line = lines.find((one) => one.partner === customer.partner && one.product === product);
    const listed = [];
    for (let at = 0; at < use.seen.length; at += 3) listed.push(use.seen.slice(at, at + 3));
    const reasons = [];
    for (let at = 0; at < use.notBilled.length; at += 2) {
      const reason = data.reasons[use.notBilled[at]];
      reasons.push(`${number.format(use.notBilled[at + 1])} (${REASONS[reason] || reason})`);
    }
    byId("detail-body").replaceChildren(...[
      element("h2", { id: "detail-title" }, name(customer.name), `: ${product.name}`),
      element("p", { class: "quiet" }, name(customer.id), ` \u00b7 ${asOf}`),
      terms(
        ["Licence", `${TYPES[use.type] || use.type}${use.owner ? `, owned by the ${use.owner}` : ""}`],
        use.licensed === null ? null : ["Bought", number.format(use.licensed)],
        ["Active units", `${number.format(use.active)} ${product.unit && use.active !== 1 ? `${product.unit}s` : product.unit}`],
        ["Billed", number.format(use.billed)],
        reasons.length ? ["Not billed", reasons.join("; ")] : null,
        use.toDate === null ? null : ["Month to date", number.format(use.toDate)],
        ["Since last month", ...change(use.joined, use.left)],
        line ? ["To the next price band", `${toNext(line)} (the partner has ${number.format(line.quantity)}, band ${band(line)})`] : null),
      use.daily ? sparkline(daily, product.name) : null,
      use.daily ? element("p", { class: "quiet" }, `Active units per date, ${date(0)} to ${date(last)}, at most ${number.format(Math.max(...daily))}`) : null,
      element("h3", {}, "Roster"),
      listed.length ? element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Roster" }, element("table", {},
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Unit"),
          element("th", { scope: "col", class: "text" }, "Last active on"), element("th", { scope: "col", class: "text" }, "Billed"))),
        element("tbody", {}, ...listed.map(([id, at, reason]) => element("tr", {},
          element("th", { scope: "row" }, name(shown(id))), element("td", { class: "text" }, date(at)),
          element("td", { class: "text" }, reason < 0 ? "yes" : `no: ${REASONS[data.reasons[reason]] || data.reasons[reason]}`)))))) :
        use.active ? null : element("p", { class: "quiet" }, "Nobody was active in the window."),
      more(listed.length, use.active),
      ...listOf("Joined since last month", use.joiners, use.joined),
      ...listOf("Left since last month", use.leavers, use.left),
    ].filter(Boolean));
    byId("detail").showModal();
    byId("detail").scrollTop = 0;
  };
  byId("detail").addEventListener("click", (event) => { if (event.target === byId("detail")) byId("detail").close(); });

  // ---- products and price bands -----------------------------------------------------------------

  const bands = document.querySelector("#bands details");
  const showBands = () => {
    if (!bands.open) return;
    const chosen = choice("partner");
    const of = lines.filter((line) => chosen === "" || line.partner === partners[chosen]);
    const header = ["Product", ...(data.is_partner ? [] : ["Partner"]), "Billed units", "Price band", "To the next band", "Price", `Amount, ${data.currency}`];
    bands.lastElementChild.replaceChildren(element("table", {},
      element("caption", { id: "bands-caption" }, `Billed units and price bands, net amounts. ${asOf}.`),
      element("thead", {}, element("tr", {}, ...header.map((label, at) => element("th", { scope: "col", class: at === 0 || label === "Partner" ? "text" : null }, label)))),
      element("tbody", {}, ...of.map((line) => element("tr", {},
        element("th", { scope: "row" }, line.product.name),
        ...(data.is_partner ? [] : [element("td", { class: "text" }, name(line.partner.name))]),
        element("td", {}, number.format(line.quantity)),
        element("td", {}, line.from === null ? "" : band(line)),
        element("td", {}, line.from === null ? "" : toNext(line)),
        element("td", {}, line.price === null ? line.model || "no price" : line.price),
        element("td", {}, line.amount))))));
  };
  bands.addEventListener("toggle", showBands);
  byId("bands").hidden = !lines.length;

  // ---- export -----------------------------------------------------------------------------------

  // As in managed_customer_usage.csv: where a spreadsheet would begin a formula, an apostrophe comes first.
  const SIGN = "'* *[=+\\-@\\uff1d\\uff0b\\uff0d\\uff20]";
  const LIVE = new RegExp(`(?:^|(?<=[;\\t\\r\\n]))(?=${SIGN})|^(?='*[\\t\\r\\n])`, "g");
  const csvCell = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (!/^[+-]?[0-9]+(?:\.[0-9]+)?$/.test(text)) text = text.replace(LIVE, "'");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = (uses) => [data.header, ...uses.map(({ customer, product, type, owner, licensed, active, billed, joined, left }) => [
    data.state, data.as_of, data.period, data.number, customer.partner.id, customer.partner.rawName, customer.id, customer.rawName,
    product.code, product.rawName, product.unit, type, owner, licensed, active, billed, joined, left,
  ])].map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");

  byId("export").addEventListener("click", () => {
    const uses = [...found].sort((a, b) => a.at - b.at).flatMap((one) => one.uses);
    const link = element("a", { download: "managed_customer_usage.csv" });
    link.href = URL.createObjectURL(new Blob([csv(uses)], { type: "text/csv" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  document.querySelector("main").hidden = false;
  filter();
})();
