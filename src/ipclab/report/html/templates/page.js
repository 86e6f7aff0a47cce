"use strict";
(function () {
  var root = document.documentElement;
  var all = function (what, within) { return Array.from((within || document).querySelectorAll(what)); };

  all("[hidden][data-scripted]").forEach(function (part) { part.hidden = false; });

  var theme = document.getElementById("theme");
  theme.addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    theme.setAttribute("aria-pressed", String(!dark));
  });

  var filter = document.getElementById("filter"), found = document.getElementById("found");
  filter.addEventListener("input", function () {
    var words = filter.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0, of = 0;
    all("[data-row]").forEach(function (row) {
      var name = row.dataset.row.toLowerCase();
      var fits = words.every(function (word) { return name.includes(word); });
      row.classList.toggle(row.tagName === "TR" ? "gone" : "faded", !fits);
      if (row.tagName === "TR") { of += 1; shown += fits ? 1 : 0; }
    });
    found.textContent = words.length ? shown + " of " + of + " rows of the tables" : "";
  });

  all("table.figures thead th[data-sortable]").forEach(function (head) {
    var button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      var table = head.closest("table"), place = Array.from(head.parentNode.children).indexOf(head);
      all("thead th[aria-sort]", table).forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      all("tbody", table).forEach(function (body) {
        var rows = all("tr[data-row]", body), after = body.querySelector("tr.advice");
        var value = function (row) {
          var text = row.children[place].dataset.value;
          return text === undefined ? null : Number(text);
        };
        rows.sort(function (a, b) {
          var x = value(a), y = value(b);
          if (x === null || y === null) { return (x === null) - (y === null); }
          return up ? x - y : y - x;
        }).forEach(function (row) { body.insertBefore(row, after); });
      });
    });
  });

  var open = function (focus) {
    var part = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    if (!part || part.tagName !== "DETAILS") { return; }
    for (var up = part; up; up = up.parentElement) { if (up.tagName === "DETAILS") { up.open = true; } }
    all("details.shown").forEach(function (other) { other.classList.remove("shown"); });
    part.classList.add("shown");
    part.scrollIntoView({ block: "center" });
    if (focus) { part.querySelector("summary").focus({ preventScroll: true }); }
  };
  addEventListener("hashchange", function () { open(true); });
  document.addEventListener("click", function (event) {
    var link = event.target.closest ? event.target.closest("a[href^='#']") : null;
    if (link && link.getAttribute("href") === location.hash) { open(true); }
  });
  open(false);

  var readout = document.getElementById("readout");
  all("svg .row").forEach(function (row) {
    var title = row.querySelector("title");
    if (!title) { return; }
    var words = title.textContent;
    row.addEventListener("pointerenter", function () { readout.textContent = words; readout.hidden = false; });
    row.addEventListener("pointerleave", function () { readout.hidden = true; });
  });

  addEventListener("beforeprint", function () { all("details").forEach(function (part) { part.open = true; }); });
})();
