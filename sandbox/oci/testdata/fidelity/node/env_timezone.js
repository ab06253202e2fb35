console.log(new Date(0).toString(), process.env.TZ, Intl.DateTimeFormat().resolvedOptions().timeZone, new Date(2024, 6, 1).getTimezoneOffset());
process.env.TZ = 'America/New_York';
console.log(new Date(0).getHours());
