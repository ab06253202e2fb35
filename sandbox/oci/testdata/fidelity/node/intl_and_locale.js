console.log((1234567.891).toLocaleString(), new Date(0).toLocaleString(), new Date(0).toString(), Intl.DateTimeFormat().resolvedOptions());
console.log(new Intl.NumberFormat('de-DE', { style: 'currency', currency: 'EUR' }).format(12.5), ['ä', 'a', 'z'].sort(new Intl.Collator('sv').compare));
console.log('ı'.toLocaleUpperCase('tr'), new Date(0).getTimezoneOffset(), Intl.supportedValuesOf('calendar').length);
