"use strict";

// Says how many characters are left. Without JavaScript the server's limit still holds.
for (const counter of document.querySelectorAll("[data-counts]")) {
  const field = document.getElementById(counter.dataset.counts);
  const show = () => {
    const left = field.maxLength - field.value.length;
    counter.textContent = left === 1 ? "1 character left" : `${left} characters left`;
    counter.classList.toggle("scarce", left <= 50);
  };
  field.addEventListener("input", show);
  show();
  counter.hidden = false;
}

// The server writes UTC; a visitor thinks in local time.
for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = time.textContent;
  time.textContent = new Date(time.dateTime).toLocaleString(undefined, {
    dateStyle: "long",
    timeStyle: "short",
  });
}
