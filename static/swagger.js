// Start Swagger UI in the page's element. This is a separate file because pages have no inline scripts.
(() => {
  const element = document.getElementById("swagger");
  window.SwaggerUIBundle({ url: element.dataset.document, domNode: element, deepLinking: true });
})();
