select period, distributor_id, licence_id, serial_number, later_serial_number from {{ ref("int_repointed_licences") }}
