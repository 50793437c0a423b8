/// What pages do by themselves: tables that are whole are sorted and filtered where they are. Without it all is there, in the order in which it came.
enum PageScript {
    static let text = """
        "use strict";
        for (const table of document.querySelectorAll("table[data-sorts]")) {
          const body = table.tBodies[0];
          const rows = Array.from(body.rows);
          const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
          const compare = (a, b) => {
            if (a === b) return 0;
            if (a === "" || b === "") return a === "" ? 1 : -1;
            const x = Number(a), y = Number(b);
            if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
            return a.localeCompare(b, "en", {numeric: true});
          };
          const heads = Array.from(table.tHead.rows[0].cells);
          heads.forEach((head, column) => {
            const button = document.createElement("button");
            button.type = "button";
            button.textContent = head.textContent;
            head.replaceChildren(button);
            button.addEventListener("click", () => {
              const down = head.getAttribute("aria-sort") === "ascending";
              heads.forEach(other => other.removeAttribute("aria-sort"));
              head.setAttribute("aria-sort", down ? "descending" : "ascending");
              const order = rows.map((row, place) => [value(row, column), place, row]);
              order.sort((a, b) => {
                if ((a[0] === "") !== (b[0] === "")) return a[0] === "" ? 1 : -1;
                return (down ? -compare(a[0], b[0]) : compare(a[0], b[0])) || a[1] - b[1];
              });
              body.append(...order.map(one => one[2]));
            });
          });
          if (rows.length < 8) continue;
          const label = document.createElement("label");
          label.className = "grow";
          label.textContent = "Show only rows with";
          const input = document.createElement("input");
          input.type = "search";
          label.append(input);
          const count = document.createElement("output");
          const form = document.createElement("form");
          form.append(label, count);
          form.addEventListener("submit", event => event.preventDefault());
          input.addEventListener("input", () => {
            const words = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
            let shown = 0;
            for (const row of rows) {
              const text = row.textContent.toLowerCase();
              row.hidden = !words.every(word => text.includes(word));
              if (!row.hidden) shown += 1;
            }
            count.textContent = words.length ? shown + " of " + rows.length : "";
          });
          (table.closest(".wide") ?? table).before(form);
        }

        """
}
